"""FHIR itself: exact JSON, terminology, rules, the HTTP client and a small server core."""
