# An image with fhirgoals and nothing to build it: hashed pins, an unprivileged user, its files in /data.
FROM python:3.11-slim AS build
WORKDIR /source
COPY requirements.lock ./
RUN python -m venv /opt/fhirgoals \
 && /opt/fhirgoals/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY fhirgoals fhirgoals
COPY examples examples
COPY config/codes config/codes
COPY config/smart.toml config/smart.toml
RUN /opt/fhirgoals/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --create-home --home-dir /data fhirgoals
COPY --from=build /opt/fhirgoals /opt/fhirgoals
USER fhirgoals
WORKDIR /data
VOLUME /data
ENTRYPOINT ["/opt/fhirgoals/bin/fhirgoals"]
CMD ["--help"]
