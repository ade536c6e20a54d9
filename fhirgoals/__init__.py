"""fhirgoals keeps a therapy practice's goal hierarchy and the Goals and CarePlans of EHR servers the same."""

__version__ = "0.1.0"
