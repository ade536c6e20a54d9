"""Tables that read and write FHIR resources field by field. Pure."""
