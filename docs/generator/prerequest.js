// Runs before every request: names for the run, a valid token for the sender, and a request id.
const variables = pm.collectionVariables;
const RENEW_BEFORE_MS = 60 * 1000; // A token that expires within this time is renewed.
const PATIENCE_SECONDS = 65; // The collection waits for a rate limit that ends within this time.

function beginRun() {
    const run = Date.now().toString(36);
    variables.set("run", run);
    variables.set("username", `uwe-${run}`);
    variables.set("manager_name", `mia-${run}`);
    variables.set("nobody", `nobody-${run}`);
    variables.set("project_key", `P${run.toUpperCase()}`);
    variables.set("import_key", `I${run.toUpperCase()}`);
    variables.set("password", pm.variables.replaceIn("{{$guid}}"));
    variables.set("user_password", variables.get("password"));
    ["user", "manager"].forEach((who) => [`${who}_token`, `${who}_id`].forEach((name) => variables.set(name, "")));
    ["guest_id", "tries", "waits"].forEach((name) => variables.set(name, ""));
}

function beginClassicRun() {
    const run = Date.now().toString(36);
    variables.set("classic_run", run);
    variables.set("classic_username", `carl-${run}`);
    variables.set("classic_password", pm.variables.replaceIn("{{$guid}}"));
    ["classic_admin_token", "classic_manager_token", "classic_manager_id"].forEach((name) => variables.set(name, ""));
    variables.set("nobody", `nobody-${run}`);
}

// The first request of a run makes new names, unless it is sent again after a wait.
const isFirstTry = !Number(variables.get("waits"));
if (!variables.get("run") || (pm.info.requestName === "Log in as the admin" && isFirstTry)) {
    beginRun();
}
if (!variables.get("classic_run") || (pm.info.requestName === "Welcome" && isFirstTry)) {
    beginClassicRun();
}

if (!pm.request.headers.has("X-Request-ID")) {
    pm.request.headers.add({ key: "X-Request-ID", value: `postman-${pm.variables.replaceIn("{{$guid}}")}` });
}

// Where each sender logs in, and with which name and password. A sender with a role gets an account first.
const admin = { username: pm.variables.get("admin_username"), password: pm.variables.get("admin_password") };
const senders = {
    admin: { path: "/api/v1/auth/login", ...admin },
    user: {
        path: "/api/v1/auth/login",
        username: variables.get("username"),
        password: variables.get("user_password"),
        role: "user",
    },
    manager: {
        path: "/api/v1/auth/login",
        username: variables.get("manager_name"),
        password: variables.get("password"),
        role: "manager",
    },
    classic_admin: { path: "/login", ...admin },
    classic_manager: {
        path: "/login",
        username: variables.get("classic_username"),
        password: variables.get("classic_password"),
        role: "manager",
    },
};

// Sends a POST, waits for a rate limit that ends soon, and calls `then` with the answer.
function send(path, token, body, then) {
    const request = { url: pm.variables.replaceIn("{{base_url}}") + path, method: "POST", header: {} };
    if (token) {
        request.header.Authorization = `Bearer ${token}`;
    }
    if (body) {
        request.header["Content-Type"] = "application/json";
        request.body = { mode: "raw", raw: JSON.stringify(body) };
    }
    pm.sendRequest(request, (error, response) => {
        const seconds = !error && response.code === 429 ? Number(response.headers.get("Retry-After")) : 0;
        if (seconds > 0 && seconds <= PATIENCE_SECONDS) {
            console.log(`${path} is limited: waits ${seconds} s`);
            setTimeout(() => send(path, token, body, then), seconds * 1000);
        } else {
            then(error ? { code: 0, text: () => String(error) } : response);
        }
    });
}

function keepTokens(who, tokens) {
    const token = tokens.access_token ?? tokens.token;
    variables.set(`${who}_token`, token);
    if (tokens.refresh_token) {
        variables.set(`${who}_refresh_token`, tokens.refresh_token);
        variables.set(`${who}_until`, Date.now() + tokens.expires_in * 1000);
    } else {
        variables.set(`${who}_until`, JSON.parse(atob(token.split(".")[1])).exp * 1000);
    }
}

function logIn(who, then) {
    const { path, username, password } = senders[who];
    send(path, "", { username, password }, (answer) => {
        if (answer.code === 200) {
            keepTokens(who, answer.json());
            then();
        } else {
            pm.test(`${username} can log in`, () => {
                throw new Error(`${answer.code} ${answer.text()}; is the password in the environment?`);
            });
        }
    });
}

function makeAccountAndLogIn(who, then) {
    const { username, password, role } = senders[who];
    if (!role || variables.get(`${who}_id`)) {
        logIn(who, then);
        return;
    }
    const account = { username, email: `${username}@example.org`, password, role };
    ensureToken("admin", () => send("/api/v1/users", variables.get("admin_token"), account, (answer) => {
        if (answer.code === 201) {
            variables.set(`${who}_id`, answer.json().id);
        }
        logIn(who, then);
    }));
}

function ensureToken(who, then) {
    const refreshToken = senders[who].path === "/login" ? "" : variables.get(`${who}_refresh_token`);
    if (!variables.get(`${who}_token`)) {
        makeAccountAndLogIn(who, then);
    } else if (Date.now() < Number(variables.get(`${who}_until`)) - RENEW_BEFORE_MS) {
        then();
    } else if (refreshToken) {
        send("/api/v1/auth/refresh", refreshToken, null, (answer) => {
            if (answer.code === 200) {
                keepTokens(who, answer.json());
                then();
            } else {
                makeAccountAndLogIn(who, then);
            }
        });
    } else {
        makeAccountAndLogIn(who, then);
    }
}

// A request that names no token is sent with the collection's, which is the admin's.
const auth = pm.request.auth ? JSON.stringify(pm.request.auth) : "{{admin_token}}";
const sender = /\{\{(admin|user|manager|classic_admin|classic_manager)_(refresh_)?token\}\}/.exec(auth);
if (sender) {
    ensureToken(sender[1], () => {});
}
