package fhirgoals;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.parser.DataFormatException;
import ca.uhn.fhir.parser.IParser;
import ca.uhn.fhir.rest.server.exceptions.InvalidRequestException;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import ca.uhn.fhir.validation.ValidationOptions;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.google.gson.JsonParseException;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.utilities.npm.NpmPackage;

/**
 * HAPI's instance validator, kept warm behind HTTP on 127.0.0.1.
 *
 * <p>Arguments: port (0 = a free one), an implementation guide package (.tgz) or "-", then any number of folders with
 * our own StructureDefinitions, CodeSystems and ValueSets as JSON. Prints "ready PORT" after a first validation.
 *
 * <p>POST one JSON resource (query "profile=URL", repeatable, adds profiles to those of meta.profile); the reply is a
 * JSON array of {severity, location, message, id}. Severity is information, warning, error or fatal.
 */
public final class Referee {

    private static final Set<String> DEFINITIONS = Set.of("StructureDefinition", "CodeSystem", "ValueSet");
    private static final ObjectMapper JSON = new ObjectMapper();

    private final FhirContext context = FhirContext.forR4Cached();
    private final FhirValidator validator = context.newValidator();

    private Referee(List<String> sources) throws IOException {
        PrePopulatedValidationSupport ours = new PrePopulatedValidationSupport(context);
        if (!sources.isEmpty() && !sources.get(0).equals("-")) {
            addPackage(ours, Path.of(sources.get(0)));
        }
        for (String folder : sources.subList(Math.min(1, sources.size()), sources.size())) {
            addFolder(ours, Path.of(folder));
        }
        ValidationSupportChain chain = new ValidationSupportChain(
                ours,
                new DefaultProfileValidationSupport(context),
                new CommonCodeSystemsTerminologyService(context),
                new InMemoryTerminologyServerValidationSupport(context),
                new SnapshotGeneratingValidationSupport(context));
        validator.registerValidatorModule(new FhirInstanceValidator(chain));
    }

    public static void main(String[] arguments) throws Exception {
        int port = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 0;
        Referee referee = new Referee(List.of(arguments).subList(Math.min(1, arguments.length), arguments.length));
        referee.judge("{\"resourceType\":\"Goal\",\"lifecycleStatus\":\"active\"}", List.of());

        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), port), 0);
        server.createContext("/", referee::answer);
        server.setExecutor(Executors.newFixedThreadPool(2));
        server.start();
        System.out.println("ready " + server.getAddress().getPort());
        System.out.flush();
    }

    private void addPackage(PrePopulatedValidationSupport into, Path archive) throws IOException {
        IParser parser = context.newJsonParser();
        try (InputStream stream = Files.newInputStream(archive)) {
            NpmPackage guide = NpmPackage.fromPackage(stream);
            for (Map.Entry<String, List<String>> type : guide.getFolders().get("package").getTypes().entrySet()) {
                if (DEFINITIONS.contains(type.getKey())) {
                    for (String name : type.getValue()) {
                        try (InputStream file = guide.load("package", name)) {
                            into.addResource(parser.parseResource(file));
                        }
                    }
                }
            }
        }
    }

    private void addFolder(PrePopulatedValidationSupport into, Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(name -> name.toString().endsWith(".json")).sorted().toList()) {
                IBaseResource resource = context.newJsonParser().parseResource(Files.readString(file));
                if (DEFINITIONS.contains(resource.fhirType())) {
                    into.addResource(resource);
                }
            }
        }
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
            byte[] reply;
            int status = 200;
            try {
                reply = JSON.writeValueAsBytes(judge(body, profiles(exchange.getRequestURI().getRawQuery())));
            } catch (RuntimeException failure) {
                failure.printStackTrace();
                reply = JSON.writeValueAsBytes(Map.of("error", String.valueOf(failure)));
                status = 500;
            }
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(status, reply.length);
            exchange.getResponseBody().write(reply);
        }
    }

    private static List<String> profiles(String query) {
        if (query == null) {
            return List.of();
        }
        return Stream.of(query.split("&"))
                .filter(part -> part.startsWith("profile="))
                .map(part -> URLDecoder.decode(part.substring("profile=".length()), StandardCharsets.UTF_8))
                .toList();
    }

    /** The raw text is validated, so elements that a parser would drop are judged too. */
    private ArrayNode judge(String body, List<String> profiles) {
        ValidationOptions options = new ValidationOptions();
        profiles.forEach(options::addProfile);
        ArrayNode issues = JSON.createArrayNode();
        try {
            for (SingleValidationMessage found : validator.validateWithResult(body, options).getMessages()) {
                issues.addObject()
                        .put("severity", found.getSeverity().getCode())
                        .put("location", found.getLocationString())
                        .put("message", found.getMessage())
                        .put("id", found.getMessageId());
            }
        } catch (DataFormatException | InvalidRequestException | JsonParseException failure) {
            issues.addObject()
                    .put("severity", "fatal")
                    .put("location", "")
                    .put("message", failure.getMessage())
                    .put("id", "not-readable");
        }
        return issues;
    }
}
