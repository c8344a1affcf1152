"""Java: signed calls by the vendor's generic client, everything else by java.net.http."""

from dataclasses import replace

from pierhead.web.samples.calls import Call
from pierhead.web.samples.layout import filled, text
from pierhead.web.samples.literals import JAVA
from pierhead.web.samples.programs import Forms, Language

_UNIT = "    "
_LANGUAGE = Language(JAVA, _UNIT)


def code(call: Call) -> str:
    """The program that makes a call."""
    return _LANGUAGE.code(call, _signed, Forms(_ZSTACK, _OPEN, _OPENAI))


def _signed(call: Call) -> str:
    query = text(JAVA.node(dict(call.query)), _UNIT, 3, len(".setQuery("))
    broken = replace(JAVA, array=("Arrays.<Object>asList(", ")"))
    body = text(broken.node(dict(call.body or {})), _UNIT, 3, len(".setBody("))
    request = f"\n            .setQuery({query})" if call.query else ""
    request += f"\n            .setBody({body})" if call.body is not None else ""
    return filled(
        _SIGNED,
        title=call.title,
        **_LANGUAGE.words(call),
        request=request,
        arrays="import java.util.Arrays;\n" if "Arrays." in body else "",
    )


_SIGNED = """// @title@: com.aliyun:tea-openapi and com.aliyun:tea-util from Maven. Checked for syntax.
import com.aliyun.tea.TeaConverter;
import com.aliyun.tea.TeaPair;
import com.aliyun.teaopenapi.Client;
import com.aliyun.teaopenapi.models.Config;
import com.aliyun.teaopenapi.models.OpenApiRequest;
import com.aliyun.teaopenapi.models.Params;
import com.aliyun.teautil.Common;
import com.aliyun.teautil.models.RuntimeOptions;
@arrays@import java.util.Map;

public class Sample {
    public static void main(String[] arguments) throws Exception {
        Config config = new Config()
            .setAccessKeyId(System.getenv("PIERHEAD_ACCESS_KEY_ID"))
            .setAccessKeySecret(System.getenv("PIERHEAD_ACCESS_KEY_SECRET"))
            .setSecurityToken(System.getenv("PIERHEAD_SECURITY_TOKEN"))
            .setRegionId(@region@)
            .setEndpoint(@host@)
            .setProtocol(@protocol@);
        Params params = new Params()
            .setAction(@action@)
            .setVersion(@version@)
            .setProtocol(@protocol@)
            .setPathname(@path@)
            .setMethod(@method@)
            .setAuthType("AK")
            .setStyle(@style@)
            .setReqBodyType(@body_type@)
            .setBodyType("json");
        OpenApiRequest request = new OpenApiRequest()@request@;
        Map<String, ?> answer = new Client(config).callApi(params, request, new RuntimeOptions());
        System.out.println(Common.toJSONString(answer.get("body")));
    }
}
"""
_SEND = """
    static String send(String method, String url, String body, String authorization)
            throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url))
            .method(method, HttpRequest.BodyPublishers.ofString(body))
            .header("Content-Type", "application/json");
        if (!authorization.isEmpty()) {
            request.header("Authorization", authorization);
        }
        HttpResponse<String> answer = HttpClient.newHttpClient()
            .send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() >= 400) {
            throw new IllegalStateException(answer.statusCode() + ": " + answer.body());
        }
        return answer.body();
    }
}
"""
_HEAD = """import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
"""
_ZSTACK = (
    """// @title@: Java 17, nothing to install. Checked for syntax.
"""
    + _HEAD
    + """import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Sample {
    static final String SERVER = @server@;

    public static void main(String[] arguments) throws Exception {
        byte[] password = System.getenv("PIERHEAD_PASSWORD").getBytes(StandardCharsets.UTF_8);
        String hash = HexFormat.of()
            .formatHex(MessageDigest.getInstance("SHA-512").digest(password));
        String account = System.getenv().getOrDefault("PIERHEAD_ACCOUNT", "admin");
        String login = send("PUT", SERVER + "/v1/accounts/login",
            "{\\"logInByAccount\\":{\\"accountName\\":\\"" + account + "\\",\\"password\\":\\"" + hash + "\\"}}",
            "");
        Matcher uuid = Pattern.compile("\\"uuid\\"\\\\s*:\\\\s*\\"([0-9a-f]+)\\"").matcher(login);
        if (!uuid.find()) {
            throw new IllegalStateException(login);
        }
        String session = uuid.group(1);
        try {
            System.out.println(send(@method@, SERVER + @target@, @body@, "OAuth " + session));
        } finally {
            send("DELETE", SERVER + "/v1/accounts/sessions/" + session, "", "");
        }
    }
"""
    + _SEND
)
_OPEN = (
    """// @title@: Java 17, nothing to install. Checked for syntax.
"""
    + _HEAD
    + """
public class Sample {
    static final String SERVER = @server@;

    public static void main(String[] arguments) throws Exception {
        System.out.println(send(@method@, SERVER + @target@, @body@, ""));
    }
"""
    + _SEND
)
_OPENAI = (
    """// @title@: Java 17, nothing to install. Checked for syntax.
"""
    + _HEAD
    + """
public class Sample {
    public static void main(String[] arguments) throws Exception {
        String authorization = "Bearer " + System.getenv("PIERHEAD_TOKEN");
        System.out.println(send(@method@, @url@, @body@, authorization));
    }
"""
    + _SEND
)
