// Runs after every request: tests what holds for all answers. Waits for a rate limit that ends soon.
const variables = pm.collectionVariables;
const code = pm.response.code;
const headers = pm.response.headers;
const path = pm.request.url.getPath();
const PATIENCE_SECONDS = 65;
const MAX_WAITS = 3;

if (code === 429) {
    const seconds = Number(headers.get("Retry-After"));
    const waits = Number(variables.get("waits")) + 1;
    if (seconds > 0 && seconds <= PATIENCE_SECONDS && waits <= MAX_WAITS) {
        variables.set("waits", waits);
        console.log(`${pm.info.requestName} is limited: waits ${seconds} s and sends it again`);
        setTimeout(() => {}, seconds * 1000);
        pm.execution.setNextRequest(pm.info.requestId);
    } else {
        variables.set("waits", "");
        pm.test("is not limited for long", () => {
            throw new Error(`429, for another ${seconds} s`);
        });
    }
    return;
}
variables.set("waits", "");

pm.test("the request id comes back", () => {
    const sent = pm.request.headers.get("X-Request-ID");
    const isValid = /^[A-Za-z0-9._-]{1,64}$/.test(sent);
    pm.expect(headers.get("X-Request-ID")).to.match(isValid ? new RegExp(`^${sent}$`) : /^[A-Za-z0-9._-]{1,64}$/);
});
pm.test("security headers", () => {
    pm.expect(headers.get("X-Content-Type-Options")).to.equal("nosniff");
    pm.expect(headers.get("X-Frame-Options")).to.equal("DENY");
    pm.expect(headers.get("Referrer-Policy")).to.equal("no-referrer");
    pm.expect(headers.get("Cross-Origin-Opener-Policy")).to.equal("same-origin");
    pm.expect(headers.get("Content-Security-Policy")).to.match(/default-src 'none'/);
    pm.expect(headers.get("Cache-Control")).to.be.a("string").that.is.not.empty;
});
if (headers.has("RateLimit")) {
    pm.test("rate limit headers agree", () => {
        const [, left] = /^"\w+";r=(\d+);t=\d+$/.exec(headers.get("RateLimit"));
        const [, limit] = /^"\w+";q=(\d+);w=\d+$/.exec(headers.get("RateLimit-Policy"));
        pm.expect(headers.get("X-RateLimit-Remaining")).to.equal(left);
        pm.expect(headers.get("X-RateLimit-Limit")).to.equal(limit);
        pm.expect(headers.get("X-RateLimit-Reset")).to.match(/^\d+$/);
        pm.expect(Number(left)).to.be.below(Number(limit));
        pm.expect(headers.has("Retry-After")).to.equal(code === 503);
    });
}
if (code === 204 || code === 304) {
    pm.test("no body", () => {
        pm.expect(pm.response.text()).to.equal("");
        pm.expect(headers.has("Content-Type")).to.equal(false);
    });
} else {
    pm.test("the body has a media type", () => {
        pm.expect(pm.response.text()).to.not.equal("");
        pm.expect(headers.get("Content-Type")).to.match(/^[a-z]+\/[a-z+]+/);
    });
}
if (code >= 400 && path !== "/readyz") {
    const isClassic = /^\/(ping|login|user|task|tasks|tasklogger|activetasks|upload-csv|log-tasks)?(\/|$)/.test(path);
    const body = pm.response.json();
    if (isClassic) {
        pm.test("an error of the classic API", () => {
            pm.expect(headers.get("Content-Type")).to.equal("application/json");
            pm.expect(body).to.have.all.keys(["error"]);
            pm.expect(body.error).to.be.a("string").that.is.not.empty;
        });
    } else {
        pm.test("problem details", () => {
            pm.expect(headers.get("Content-Type")).to.equal("application/problem+json");
            pm.response.to.have.jsonSchema(JSON.parse(variables.get("schema_problem")));
            pm.expect(body.status).to.equal(code);
            pm.expect(body.request_id).to.equal(headers.get("X-Request-ID"));
        });
    }
}
if (code === 401) {
    pm.test("a 401 names the scheme", () => {
        pm.expect(headers.get("WWW-Authenticate")).to.match(/^Bearer /);
    });
}
if (code === 405) {
    pm.test("a 405 lists the allowed methods", () => {
        pm.expect(headers.get("Allow")).to.be.a("string").that.is.not.empty;
    });
}
