// Accounts: each row of the contract, as a page of another origin sees it, and what must not work.

import { test, before, after, describe } from "node:test";
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { spawn } from "node:child_process";
import http from "node:http";
import path from "node:path";
import { startStack, assertProblem, waitFor, unique, pause, run, root, environment, ISO } from "./harness.mjs";

const SECRET = "a secret of the tests, longer than 32 bytes";
const OLD_SECRET = "the secret before it, longer than 32 bytes too";
const page = "https://desk.example";
const PASSWORD = "Correct1horse";

let stack;

before(async () => {
	stack = await startStack({ env: { JWT_SECRET: SECRET, JWT_SECRET_PREVIOUS: OLD_SECRET, FRONTEND_URL: page, BCRYPT_COST: "4" } });
});
after(() => stack?.stop());

const address = () => `${unique("person").toLowerCase().replace(/[^a-z0-9]/g, "")}+desk@example.info`;
const call = (method, target, body, token, headers = {}) => stack.call(method, `/api/auth/${target}`, { body,
	headers: { origin: page, ...(token && { authorization: `Bearer ${token}` }), ...headers } });
const register = (more = {}) => call("POST", "register", { name: "Ada Lovelace", email: address(), password: PASSWORD, ...more });
const login = (email, password = PASSWORD) => call("POST", "login", { email, password });
const me = (token) => call("GET", "me", undefined, token);
const refresh = (refreshToken) => call("POST", "refresh", { refreshToken });

async function ok(promise, status = 200) {
	const res = await promise;
	assert.equal(res.status, status, res.text);
	return res.json;
}

async function signedUp(more) {
	const email = more?.email ?? address();
	return { email, ...await ok(register({ email, ...more }), 201) };
}

// From another address of this computer.
function from(localAddress, target, body) {
	const data = JSON.stringify(body);
	return new Promise((resolve, reject) => {
		const url = new URL(stack.url);
		const req = http.request({ host: "127.0.0.1", port: url.port, method: "POST", path: `/api/auth/${target}`, localAddress, agent: false,
			headers: { "content-type": "application/json", "content-length": Buffer.byteLength(data) } }, (res) => {
			let text = "";
			res.on("data", (chunk) => { text += chunk; });
			res.on("end", () => resolve({ status: res.statusCode, headers: res.headers, text, json: JSON.parse(text) }));
		});
		req.on("error", reject);
		req.end(data);
	});
}

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());

function sign(claims, secret = SECRET, header = { alg: "HS256", typ: "JWT" }, hash = "sha256") {
	const text = `${base64(header)}.${base64(claims)}`;
	return `${text}.${createHmac(hash, secret).update(text).digest("base64url")}`;
}

// Which of the accounts' keys is the one of a token.
async function accountKey(redis, token) {
	const { sid } = claimsOf(token);
	return `u:{0}:${await redis.call("HGET", `rf:{0}:${sid}`, "u")}`;
}

function users(args, { env = {}, input = "" } = {}) {
	return new Promise((resolve, reject) => {
		const child = spawn(run, ["users", ...args, "--state-dir", stack.dir], { env: environment({ ...stack.env, ...env }), cwd: root });
		const out = { stdout: "", stderr: "" };
		child.stdout.on("data", (data) => { out.stdout += data; });
		child.stderr.on("data", (data) => { out.stderr += data; });
		child.on("error", reject);
		child.on("close", (status) => resolve({ ...out, status }));
		child.stdin.end(input);
	});
}

describe("POST /api/auth/register", () => {
	test("gives 201 with a token, a refresh token and the user", async () => {
		const email = address();
		const res = await register({ name: "  Ada Lovelace ", email: `  ${email.toUpperCase()} ` });
		const { token, refreshToken, user } = await ok(Promise.resolve(res), 201);
		assert.equal(res.headers["access-control-allow-origin"], page);
		assert.equal(typeof user._id, "string");
		assert.deepEqual([user.name, user.email, user.role], ["Ada Lovelace", email, "user"]);
		assert.match(user.createdAt, ISO);
		const claims = claimsOf(token);
		assert.deepEqual([claims.userId, claims.iss, claims.aud], [user._id, "helpline", "helpline"]);
		assert.equal(claims.exp - claims.iat, 7 * 86400);
		assert.ok(typeof claims.jti === "string" && claims.jti.length > 10);
		assert.equal(claims.role, undefined, "the role is the store's");
		assert.equal(typeof refreshToken, "string");
		assert.doesNotMatch(res.text, /\$2b\$|password/i);
	});

	test("an address that has an account is 400, however it is written", async () => {
		const { email } = await signedUp();
		const res = await register({ email: ` ${email.toUpperCase()}` });
		assertProblem(res, 400, "User already exists with this email");
		assert.ok(res.json.fields.email);
	});

	test("nobody makes himself an administrator", async () => {
		const { token, user } = await signedUp({ role: "admin", admin: true });
		assert.equal(user.role, "user");
		assert.equal((await ok(me(token))).role, "user");
	});

	test("of two at once with one address one wins", async () => {
		const email = address();
		const all = await Promise.all(Array.from({ length: 8 }, () => register({ email })));
		assert.equal(all.filter((r) => r.status === 201).length, 1);
		assert.equal(all.filter((r) => r.status === 400).length, 7);
	});

	const good = { name: "Ada", email: "never.made@example.info", password: PASSWORD };
	const wrong = [
		["nothing at all", {}, ["name", "email", "password"]],
		["nulls", { name: null, email: null, password: null }, ["name", "email", "password"]],
		["blanks", { name: "   ", email: " ", password: "      " }, ["name", "email", "password"]],
		["other types", { name: 7, email: ["a@b.info"], password: { a: 1 } }, ["name", "email", "password"]],
		["booleans", { ...good, name: true }, ["name"]],
		["a name of one character", { ...good, name: " 😀 " }, ["name"]],
		["a name of 51 characters", { ...good, name: "é".repeat(51) }, ["name"]],
		["a very long name", { ...good, name: "n".repeat(100_000) }, ["name"]],
		["a tag in the name", { ...good, name: "<script>alert(1)</script>" }, ["name"]],
		["a line end in the name", { ...good, name: "Ada\nLovelace" }, ["name"]],
		["a change of direction in the name", { ...good, name: "Ada\u202egnp.exe" }, ["name"]],
		["a password without an upper-case letter", { ...good, password: "correct1horse" }, ["password"]],
		["a password without a lower-case letter", { ...good, password: "CORRECT1HORSE" }, ["password"]],
		["a password without a digit", { ...good, password: "CorrectHorse" }, ["password"]],
		["a password of 5 bytes", { ...good, password: "Ab1cd" }, ["password"]],
		["a password of 73 bytes", { ...good, password: "Ab1" + "x".repeat(70) }, ["password"]],
		["a password of 73 bytes in 25 characters", { ...good, password: "Ab1d" + "€".repeat(23) }, ["password"]],
		["an address without @", { ...good, email: "ada.example.info" }, ["email"]],
		["two @", { ...good, email: "ada@b@example.info" }, ["email"]],
		["no domain", { ...good, email: "ada@" }, ["email"]],
		["no dot in the domain", { ...good, email: "ada@localhost" }, ["email"]],
		["two dots", { ...good, email: "a..b@example.info" }, ["email"]],
		["a space", { ...good, email: "a b@example.info" }, ["email"]],
		["an IP address", { ...good, email: "ada@127.0.0.1" }, ["email"]],
		["a tag", { ...good, email: "<b>@example.info" }, ["email"]],
		["a header", { ...good, email: "ada@example.info\r\nBcc: eve@example.info" }, ["email"]],
		["255 bytes", { ...good, email: `${"a".repeat(60)}@${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.${"e".repeat(7)}.info` }, ["email"]],
	];
	for (const [what, body, fields] of wrong)
		test(`${what}: 400 that names ${fields.join(", ")}`, async () => {
			const res = await call("POST", "register", body);
			assertProblem(res, 400);
			assert.deepEqual(Object.keys(res.json.fields).sort(), fields.toSorted());
			assert.ok(Object.values(res.json.fields).includes(res.json.message), res.text);
			assert.equal(res.headers["access-control-allow-origin"], page);
		});

	test("lone surrogates, NUL, members that are there twice and what is no JSON: 400", async () => {
		for (const body of ['{"name":"A\\ud800b","email":"a@b.info","password":"Correct1horse"}',
			'{"name":"A\\u0000b","email":"a@b.info","password":"Correct1horse"}',
			'{"name":"Ada","email":"a@b.info","password":"Correct1\\u0000horse"}',
			'{"name":"Ada","name":"Eve","email":"a@b.info","password":"Correct1horse"}', "[]", "null", "{", ""])
			assertProblem(await call("POST", "register", body, undefined, { "content-type": "application/json" }), 400, undefined, body);
	});

	test("none of it was stored", async () => {
		assertProblem(await login(good.email), 401);
		const redis = await stack.redis();
		assert.equal(await redis.call("ZCARD", "accounts:{0}"), (await redis.call("KEYS", "email:*")).length);
	});

	test("what people are called, and unusual addresses, are taken", async () => {
		for (const more of [{ name: "José Ñuñez" }, { name: "李小龍" }, { name: "O'Brien" }, { name: "é".repeat(50) }, { name: "محمد علي" },
			{ email: `a+b.${Date.now()}@c.info` }, { email: `o'brien${Date.now()}@sub.domain.example.museum` }, { password: "Ab1" + "x".repeat(69) },
			{ password: "Пароль1" }, { password: "  Ab1  " }]) {
			const { user, email } = await signedUp(more);
			assert.equal(user.email, email);
			if (more.name)
				assert.equal(user.name, more.name);
			if (more.password)
				await ok(login(email, more.password));
		}
	});

	test("no address makes the check slow", async () => {
		for (const email of [`${"a".repeat(200_000)}@`, `a@${"a.".repeat(100_000)}`, `${"a.".repeat(50_000)}!`, "@".repeat(200_000), " ".repeat(200_000)]) {
			const began = Date.now();
			assertProblem(await register({ email }), 400);
			assert.ok(Date.now() - began < 2000, `${Date.now() - began} ms`);
		}
	});
});

describe("POST /api/auth/login", () => {
	test("gives 200 in the same shape", async () => {
		const { email, user } = await signedUp();
		const again = await ok(login(`  ${email.toUpperCase()}`));
		assert.deepEqual(again.user, user);
		assert.equal((await ok(me(again.token)))._id, user._id);
		assert.equal(typeof again.refreshToken, "string");
	});

	test("a wrong password and an unknown address: 401 in the same words", async () => {
		const { email } = await signedUp();
		const answers = [await login(email, "Wrong1horse"), await login(address()), await login("no address at all"), await login(email, "x".repeat(1000))];
		for (const res of answers) {
			assertProblem(res, 401, "Invalid credentials");
			assert.equal(res.json.message, "Invalid credentials");
		}
	});

	test("a password that agrees in its first 72 bytes is a wrong one", async () => {
		const password = "Ab1" + "x".repeat(69);
		const { email } = await signedUp({ password });
		assertProblem(await login(email, `${password}y`), 401);
		await ok(login(email, password));
	});

	test("missing and malformed members are 400 and named", async () => {
		for (const [body, fields] of [[{}, ["email", "password"]], [{ email: 7, password: [] }, ["email", "password"]], [{ email: "a@b.info" }, ["password"]],
			[{ email: "x".repeat(300), password: "x" }, ["email"]], [{ email: { $ne: null }, password: { $ne: null } }, ["email", "password"]]]) {
			const res = await call("POST", "login", body);
			assertProblem(res, 400);
			assert.deepEqual(Object.keys(res.json.fields).sort(), fields);
		}
	});

	test("twenty programs of one person sign in at once", async () => {
		const { email } = await signedUp();
		for (const res of await Promise.all(Array.from({ length: 20 }, () => login(email))))
			assert.equal(res.status, 200, res.text);
	});

	test("wrong passwords are throttled by account and address, and lock nobody else out", async () => {
		const { email } = await signedUp();
		const attack = await Promise.all(Array.from({ length: 30 }, (_, i) => from("127.0.0.9", "login", { email, password: `Wrong${i}horse` })));
		assert.equal(attack.filter((r) => r.status === 401).length, 10);
		const refused = attack.filter((r) => r.status === 429);
		assert.equal(refused.length, 20, "also when they all come at once, and although RATE_LIMITS is off");
		for (const res of refused) {
			assertProblem(res, 429);
			assert.ok(Number(res.headers["retry-after"]) >= 1);
		}
		// From there the right one is refused too, or guessing would pay.
		assert.equal((await from("127.0.0.9", "login", { email, password: PASSWORD })).status, 429);
		await ok(login(email));
		assert.equal((await from("127.0.0.8", "login", { email, password: PASSWORD })).status, 200);
	});

	test("a clock that was set back shuts nobody out", async () => {
		const { email } = await signedUp();
		assertProblem(await login(email, "Wrong1horse"), 401);
		const redis = await stack.redis();
		for (const key of await redis.call("KEYS", "lf:*"))
			await redis.call("SET", key, String(Number(await redis.call("GET", key)) + 7_200_000), "PX", "7300000");
		await ok(login(email));
		await signedUp();
	});

	test("an unknown address is throttled in the same way", async () => {
		const email = address();
		const all = await Promise.all(Array.from({ length: 14 }, () => from("127.0.0.9", "login", { email, password: "Wrong1horse" })));
		assert.deepEqual([all.filter((r) => r.status === 401).length, all.filter((r) => r.status === 429).length], [10, 4]);
	});

	test("guesses from a hundred addresses are slowed, and the person is not where he has signed in before", async () => {
		const { email } = await signedUp();
		assert.equal((await from("127.0.0.77", "login", { email, password: PASSWORD })).status, 200);
		const attack = await Promise.all(Array.from({ length: 120 }, (_, i) => from(`127.0.1.${i + 1}`, "login", { email, password: "Wrong1horse" })));
		assert.equal(attack.filter((r) => r.status === 401).length, 100);
		assert.equal(attack.filter((r) => r.status === 429).length, 20);
		await ok(login(email));
		assert.equal((await from("127.0.0.77", "login", { email, password: PASSWORD })).status, 200);
	});

	test("a test client makes three hundred accounts from one address", async () => {
		const all = await Promise.all(Array.from({ length: 300 }, () => register()));
		assert.deepEqual(all.filter((r) => r.status !== 201).map((r) => r.text), []);
	});
});

describe("POST /api/auth/refresh", () => {
	test("gives a new token and a new refresh token; each works once", async () => {
		const { refreshToken, user } = await signedUp();
		const first = await ok(refresh(refreshToken));
		assert.notEqual(first.refreshToken, refreshToken);
		assert.equal((await ok(me(first.token)))._id, user._id);
		const second = await ok(refresh(first.refreshToken));
		assert.equal((await ok(me(second.token)))._id, user._id);
	});

	test("one that is used twice ends its whole family, and no other", async () => {
		const { refreshToken, email } = await signedUp();
		const other = await ok(login(email));
		const next = await ok(refresh(refreshToken));
		assertProblem(await refresh(refreshToken), 401, /sign in again/);
		assertProblem(await refresh(next.refreshToken), 401);
		await ok(refresh(other.refreshToken));
	});

	test("of ten at once with one token at most one gets a new one", async () => {
		const { refreshToken } = await signedUp();
		const all = await Promise.all(Array.from({ length: 10 }, () => refresh(refreshToken)));
		assert.equal(all.filter((r) => r.status === 200).length, 1);
		const winner = all.find((r) => r.status === 200);
		assertProblem(await refresh(winner.json.refreshToken), 401);
	});

	test("what is no refresh token is 401, what is none at all 400", async () => {
		const { token } = await signedUp();
		for (const wrong of [token, "x", "A".repeat(45), `${"A".repeat(22)}.${"A".repeat(22)}`, "é".repeat(40), `${"A".repeat(22)}.${"*".repeat(22)}`])
			assertProblem(await refresh(wrong), 401);
		for (const wrong of [undefined, null, 7, [], ""])
			assertProblem(await refresh(wrong), 400);
	});
});

describe("POST /api/auth/logout", () => {
	test("gives 204 and ends the family, twice as well as once", async () => {
		const { refreshToken, email } = await signedUp();
		const other = await ok(login(email));
		for (let i = 0; i < 2; i++) {
			const res = await call("POST", "logout", { refreshToken });
			assert.equal(res.status, 204);
			assert.equal(res.text, "");
		}
		assertProblem(await refresh(refreshToken), 401);
		await ok(refresh(other.refreshToken));
		assert.equal((await call("POST", "logout", { refreshToken: "unknown" })).status, 204);
		assertProblem(await call("POST", "logout", {}), 400);
	});
});

describe("the end of a sign-in", () => {
	const ends = {
		"signing out": ({ refreshToken }) => call("POST", "logout", { refreshToken }),
		"a refresh token that comes twice": async ({ refreshToken, used }) => assertProblem(await refresh(used ?? refreshToken), 401),
	};

	for (const [how, end] of Object.entries(ends))
		test(`${how} voids its access tokens and closes its sockets, and those of no other`, async () => {
			const first = await signedUp();
			const other = await ok(login(first.email));
			const second = await ok(refresh(first.refreshToken));
			const client = await stack.client({ auth: { token: second.token }, reconnection: false });
			const bystander = await stack.client({ auth: { token: other.token }, reconnection: false });
			await ok(me(first.token));
			await end({ ...second, used: first.refreshToken });
			for (const token of [first.token, second.token]) {
				assertProblem(await me(token), 401);
				assertProblem(await stack.get("/api/conversations", { authorization: `Bearer ${token}` }), 401);
			}
			await client.when("disconnect");
			const refused = await stack.client({ connect: false, auth: { token: second.token } });
			assert.equal((await refused.when("connect_error")).data.code, "unauthorized");
			await ok(me(other.token));
			await ok(refresh(other.refreshToken));
			assert.equal(bystander.socket.connected, true);
		});

	test("a socket that is let in just then does not stay", async () => {
		const { email } = await signedUp();
		const signed = [];
		for (let i = 0; i < 60; i++)
			signed.push(await ok(login(email)));
		const clients = await Promise.all(signed.map(async ({ token, refreshToken }, i) => {
			const client = await stack.client({ connect: false, auth: { token }, transports: ["websocket"], reconnection: true, reconnectionDelay: 10 });
			await pause(i % 12);
			await call("POST", "logout", { refreshToken });
			return client;
		}));
		await waitFor("nobody is connected", () => clients.every((c) => !c.socket.connected && c.all("connect_error").length + c.all("disconnect").length > 0));
		clients.forEach((c) => c.close());
	});

	test("a socket that is away just then does not come back as who it was", async () => {
		const { token, refreshToken } = await signedUp();
		const client = await stack.client({ auth: { token }, transports: ["websocket"], reconnection: true, reconnectionDelay: 10, randomizationFactor: 0 });
		const id = await client.join();
		assert.equal((await client.ask("send-message", { sessionId: id, message: "hi", userId: "visitor-1" })).ok, true);
		await client.when("message-received", (m) => m.isBot);
		client.socket.io.engine.transport.ws.terminate();
		await client.when("disconnect");
		await waitFor("it has come back as the same one", () => client.socket.connected);
		assert.equal(client.socket.recovered, true);
		client.socket.io.reconnectionDelay(1500);
		client.socket.io.engine.transport.ws.terminate();
		await waitFor("it is away", () => !client.socket.connected);
		assert.equal((await call("POST", "logout", { refreshToken })).status, 204);
		assert.equal((await client.when("connect_error")).data.code, "unauthorized");
		assert.equal(client.socket.connected, false);
	});

	test("of one that is over another's token says nothing", async () => {
		const [a, b] = [await signedUp(), await signedUp()];
		const stolen = sign({ ...claimsOf(b.token), sid: claimsOf(a.token).sid });
		assert.equal((await call("POST", "logout", { refreshToken: a.refreshToken })).status, 204);
		await ok(me(stolen));
		assertProblem(await me(a.token), 401);
		for (const sid of [7, {}, "", "x", "\"]},{\"room\":\"room:staff\"", "A".repeat(23), "é".repeat(11)])
			await ok(me(sign({ ...claimsOf(b.token), sid })));
	});

	test("what an account remembers of them is bounded", async () => {
		const { refreshToken, token } = await signedUp();
		const redis = await stack.redis();
		const key = await accountKey(redis, token);
		const many = Array.from({ length: 520 }, (_, i) => [`over:${String(i).padStart(22, "x")}`, String(Date.now() - 1000 - i)]).flat();
		await redis.call("HSET", key, ...many, "over:long.ago", "5");
		await call("POST", "logout", { refreshToken });
		const fields = (await redis.call("HKEYS", key)).map(String).filter((f) => f.startsWith("over:"));
		assert.equal(fields.length, 512);
		assert.ok(fields.includes(`over:${claimsOf(token).sid}`) && fields.includes(`over:${"0".padStart(22, "x")}`));
		assert.ok(!fields.includes("over:long.ago") && !fields.includes(`over:${"519".padStart(22, "x")}`));
	});

	test("a socket ends with its token, and comes back with another one only", async () => {
		const { user } = await signedUp();
		const now = Math.floor(Date.now() / 1000);
		const claims = { userId: user._id, iat: now, exp: now + 3, iss: "helpline", aud: "helpline" };
		const tokens = [sign(claims), sign({ ...claims, exp: now + 900.5 })];
		const again = { reconnection: true, reconnectionDelay: 30, reconnectionDelayMax: 100 };
		const client = await stack.client({ auth: (give) => give({ token: tokens[0] }), ...again });
		const stays = await stack.client({ auth: { token: tokens[1] }, reconnection: false });
		const old = await stack.client({ auth: { token: tokens[0] }, ...again });
		tokens.shift();
		await client.when("disconnect");
		await waitFor("connected again", () => client.socket.connected);
		assert.equal((await old.when("connect_error")).data.code, "unauthorized");
		assert.equal(stays.socket.connected, true);
	});
});

describe("GET /api/auth/me and /api/auth/profile", () => {
	test("give _id, name, email, role", async () => {
		const { token, user, email } = await signedUp();
		for (const target of ["me", "profile"]) {
			const got = await ok(call("GET", target, undefined, token));
			assert.deepEqual([got._id, got.name, got.email, got.role], [user._id, "Ada Lovelace", email, "user"]);
		}
	});

	test("tokens with another algorithm, signature, time, issuer or audience, or of nobody, are 401", async () => {
		const { token, user } = await signedUp();
		const now = Math.floor(Date.now() / 1000);
		const claims = { userId: user._id, iat: now, exp: now + 600, iss: "helpline", aud: "helpline", jti: "1" };
		await ok(me(sign(claims)));
		await ok(me(sign(claims, OLD_SECRET)));		// JWT_SECRET_PREVIOUS
		const [head, body, signature] = token.split(".");
		const bad = {
			none: `${base64({ alg: "none", typ: "JWT" })}.${body}.`, "none with a signature": `${base64({ alg: "none" })}.${body}.${signature}`,
			HS512: sign(claims, SECRET, { alg: "HS512", typ: "JWT" }, "sha512"), "HS384 by name": sign(claims, SECRET, { alg: "HS384", typ: "JWT" }),
			RS256: sign(claims, SECRET, { alg: "RS256", typ: "JWT" }), "another secret": sign(claims, "another secret, as long as 32 bytes are"),
			"no secret": sign(claims, ""), expired: sign({ ...claims, exp: now - 1 }), "no exp": sign({ ...claims, exp: undefined }),
			"exp a string": sign({ ...claims, exp: String(now + 600) }), "another issuer": sign({ ...claims, iss: "x" }),
			"another audience": sign({ ...claims, aud: "x" }), "the old service's": sign({ userId: user._id, iat: now, exp: now + 600 }),
			"swapped claims": `${head}.${base64({ ...claimsOf(token), userId: "x" })}.${signature}`,
			"nobody's": sign({ ...claims, userId: "A".repeat(22) }), "userId an object": sign({ ...claims, userId: { $ne: null } }),
			empty: "", words: "not a token", long: `${head}.${"A".repeat(100_000)}.${signature}`.slice(0, 6000),
		};
		for (const [what, wrong] of Object.entries(bad))
			assertProblem(await me(wrong), 401, undefined, what);
		assertProblem(await call("GET", "me"), 401);
		assertProblem(await stack.get("/api/auth/me", { authorization: `Basic ${token}` }), 401);
	});

	test("a claim of being an administrator is not believed of an account", async () => {
		const { user } = await signedUp();
		const now = Math.floor(Date.now() / 1000);
		const token = sign({ userId: user._id, role: "admin", iat: now, exp: now + 600, iss: "helpline", aud: "helpline" });
		assert.equal((await ok(me(token))).role, "user");
	});

	test("a store that is away for a moment is waited for", async () => {
		const { token, user } = await signedUp();
		const { pid } = await stack.program("redis");
		process.kill(pid, "SIGKILL");
		assert.equal((await ok(me(token)))._id, user._id);
		await waitFor("the store is back", async () => (await stack.get("/ready")).status === 200);
	});
});

describe("PUT /api/auth/profile", () => {
	test("changes name and address, and what is absent stays", async () => {
		const { token, user, email } = await signedUp();
		const named = await ok(call("PUT", "profile", { name: " Grace Hopper ", email: null }, token));
		assert.deepEqual([named._id, named.name, named.email], [user._id, "Grace Hopper", email]);
		const moved = address();
		assert.equal((await ok(call("PUT", "profile", { email: moved.toUpperCase() }, token))).email, moved);
		assertProblem(await login(email), 401);
		assert.equal((await ok(login(moved))).user.name, "Grace Hopper");
		await signedUp({ email });	// the old address is free
		const same = await ok(call("PUT", "profile", { ...named, email: moved, role: "admin", _id: "x" }, token));
		assert.deepEqual([same._id, same.role], [user._id, "user"]);
	});

	test("a current password that is sent is checked for an address too", async () => {
		const { token, email } = await signedUp();
		assertProblem(await call("PUT", "profile", { email: address(), currentPassword: "Wrong1horse" }, token), 400);
		assert.equal((await ok(me(token))).email, email);
		const moved = address();
		assert.equal((await ok(call("PUT", "profile", { email: moved, currentPassword: PASSWORD }, token))).email, moved);
	});

	test("of many changes at once none is refused", async () => {
		const { token } = await signedUp();
		const all = await Promise.all(Array.from({ length: 16 }, (_, i) => call("PUT", "profile", { name: `Name ${i}` }, token)));
		assert.deepEqual(all.map((res) => res.status), all.map(() => 200));
	});

	test("an address that another has is 400, and nothing changes", async () => {
		const [a, b] = [await signedUp(), await signedUp()];
		assertProblem(await call("PUT", "profile", { name: "Eve", email: b.email }, a.token), 400, "User already exists with this email");
		assert.equal((await ok(me(a.token))).name, "Ada Lovelace");
	});

	test("a new password needs the current one, ends other sign-ins and voids earlier tokens", async () => {
		const { token, email, refreshToken } = await signedUp();
		const other = await ok(login(email));
		const password = "Another2horse";
		for (const [currentPassword, field] of [[undefined, "currentPassword"], ["Wrong1horse", "currentPassword"], [7, "currentPassword"]]) {
			const res = await call("PUT", "profile", { password, currentPassword }, token);
			assertProblem(res, 400);
			assert.ok(res.json.fields[field], res.text);
		}
		assertProblem(await call("PUT", "profile", { password: "weak", currentPassword: PASSWORD }, token), 400);
		await ok(me(other.token));
		const changed = await ok(call("PUT", "profile", { password, currentPassword: PASSWORD }, token));
		assert.equal(changed.email, email);
		for (const old of [token, other.token])
			assertProblem(await me(old), 401);
		assert.equal((await ok(me(changed.token))).email, email);
		assertProblem(await refresh(other.refreshToken), 401);
		assert.equal((await ok(me((await ok(refresh(refreshToken))).token))).email, email, "one's own sign-in goes on");
		assertProblem(await login(email), 401);
		await ok(me((await ok(login(email, password))).token));
	});

	test("each new password voids all tokens before it, however quickly they follow each other", async () => {
		const { token, email } = await signedUp();
		const first = await ok(call("PUT", "profile", { password: "Another2horse", currentPassword: PASSWORD }, token));
		const between = await ok(login(email, "Another2horse"));
		const second = await ok(call("PUT", "profile", { password: "Another3horse", currentPassword: "Another2horse" }, first.token));
		for (const old of [first.token, between.token])
			assertProblem(await me(old), 401);
		await ok(me(second.token));
	});

	test("of several new passwords at once one is taken, for the others prove what is current no more", async () => {
		const { token, email } = await signedUp();
		const news = ["Another4horse", "Another5horse", "Another6horse"];
		const answers = await Promise.all(news.map((password) => call("PUT", "profile", { password, currentPassword: PASSWORD }, token)));
		const taken = answers.map((a) => a.status === 200);
		assert.equal(taken.filter(Boolean).length, 1, answers.map((a) => a.text).join("\n"));
		for (const [i, password] of news.entries())
			assert.equal((await login(email, password)).status, taken[i] ? 200 : 401);
	});

	test("wrong members are 400 and named, and nothing changes", async () => {
		const { token, user } = await signedUp();
		for (const [body, field] of [[{ name: "x" }, "name"], [{ name: "" }, "name"], [{ name: [] }, "name"], [{ email: "x" }, "email"], [{ email: "" }, "email"],
			[{ email: {} }, "email"], [{ password: 7 }, "password"], [{ name: "<b>b</b>" }, "name"]]) {
			const res = await call("PUT", "profile", body, token);
			assertProblem(res, 400);
			assert.ok(res.json.fields[field], res.text);
		}
		const now = await ok(me(token));
		assert.deepEqual([now.name, now.email], [user.name, user.email]);
		assertProblem(await call("PUT", "profile", { name: "Ada" }), 401);
	});

	test("a token of helpline token has no profile to change", async () => {
		const now = Math.floor(Date.now() / 1000);
		const token = sign({ userId: "ada", role: "admin", iat: now, exp: now + 600, iss: "helpline", aud: "helpline" });
		assert.deepEqual([(await ok(me(token)))._id, (await ok(me(token))).role], ["ada", "admin"]);
		assertProblem(await call("PUT", "profile", { name: "Ada" }, token), 403);
	});
});

describe("a page elsewhere", () => {
	test("its preflights are answered for every route, method and header of the contract", async () => {
		for (const target of ["/api/auth/login", "/api/auth/me", "/api/auth/profile", "/api/agents", "/api/agents/x", "/api/company-agents", "/api/conversations",
			"/api/conversations/x/messages", "/api/analytics", "/api/escalations"]) {
			const res = await stack.call("OPTIONS", target, { headers: { origin: page, "access-control-request-method": "PUT",
				"access-control-request-headers": "authorization,content-type" } });
			assert.equal(res.status, 204, `${target} ${res.text}`);
			assert.equal(res.headers["access-control-allow-origin"], page);
			assert.equal(res.headers["access-control-allow-credentials"], undefined);
			for (const method of ["GET", "POST", "PUT", "DELETE"])
				assert.match(res.headers["access-control-allow-methods"], new RegExp(`\\b${method}\\b`));
			for (const header of ["content-type", "authorization", "idempotency-key", "last-event-id", "if-none-match", "traceparent", "tracestate"])
				assert.match(res.headers["access-control-allow-headers"], new RegExp(`\\b${header}\\b`));
		}
	});

	test("it may read ETag, Link, Retry-After and X-Request-Id, of answers and of failures", async () => {
		for (const res of [await register(), await login(address()), await call("GET", "nothing")]) {
			assert.equal(res.headers["access-control-allow-origin"], page);
			for (const header of ["ETag", "Link", "Retry-After", "X-Request-Id"])
				assert.match(res.headers["access-control-expose-headers"], new RegExp(header));
		}
	});

	test("one that is not listed may not", async () => {
		const res = await stack.call("POST", "/api/auth/login", { body: {}, headers: { origin: "https://evil.example" } });
		assertProblem(res, 403);
		assert.equal(res.headers["access-control-allow-origin"], undefined);
	});
});

describe("what is kept", () => {
	test("no address, name, password or token is readable in Redis or in the logs", async () => {
		const email = address();
		const name = "Readable Nowhere";
		const { token, refreshToken, user } = await ok(register({ email, name, password: "Secret1Nowhere" }), 201);
		const redis = await stack.redis();
		const all = [];
		for (const key of (await redis.call("KEYS", "*")).map(String)) {
			const type = await redis.call("TYPE", key);
			all.push(key);
			if (type === "hash")
				all.push(...(await redis.call("HGETALL", key)).map((b) => b.toString("latin1")));
			else if (type === "string")
				all.push((await redis.call("GET", key)).toString("latin1"));
			else if (type === "zset")
				all.push(...(await redis.call("ZRANGE", key, 0, -1)).map((b) => b.toString("latin1")));
		}
		const kept = all.join("\n") + stack.log();
		for (const secret of [email, email.split("@")[0], name, "Secret1Nowhere", token.split(".")[2], ...refreshToken.split("."), user._id, "$2b$"])
			assert.ok(!kept.includes(secret), `${secret} can be read`);
	});
});

describe("./run users", () => {
	test("makes the first administrator, with a password from standard input or a made one", async () => {
		const email = address();
		const made = await users(["add", "--admin", "--email", ` ${email.toUpperCase()}`, "--name", "  Root "]);
		assert.equal(made.status, 0, made.stderr);
		const password = made.stdout.trim().split("\n").at(-1);
		const signedIn = await ok(login(email, password));
		assert.deepEqual([signedIn.user.role, signedIn.user.name, signedIn.user.email], ["admin", "Root", email]);
		const redis = await stack.redis();
		const first = String(await redis.call("GET", "first:{0}"));
		const second = address();
		assert.equal((await users(["add", "--admin", "--email", second, "--name", "Second"], { input: "Given1password\n" })).status, 0);
		assert.equal((await ok(login(second, "Given1password"))).user.role, "admin");
		assert.equal(String(await redis.call("GET", "first:{0}")), first);
		// An administrator sees escalations that are nobody's.
		assert.equal((await stack.get("/api/escalations", { authorization: `Bearer ${signedIn.token}` })).status, 200);
	});

	test("refuses what registering refuses", async () => {
		const { email } = await signedUp();
		for (const [args, input, words] of [[["add", "--email", "x", "--name", "Xy"], "", /address/], [["add", "--email", address(), "--name", "X"], "", /name/],
			[["add", "--email", address(), "--name", "Xy"], "weak\n", /password/], [["add", "--email", email, "--name", "Xy"], "", /already/],
			[["set-role", "--email", address(), "--role", "admin"], "", /no account/], [["set-role", "--email", email, "--role", "king"], "", /--role takes admin or user, not "king"/],
			[["add"], "", /usage/], [[], "", /usage/]]) {
			const out = await users(args, { input });
			assert.notEqual(out.status, 0, args.join(" "));
			assert.match(out.stderr, words);
		}
	});

	test("a password whose hash has another cost than the setting says is hashed anew when its owner signs in", async () => {
		const { email, token } = await signedUp();
		const redis = await stack.redis();
		const key = await accountKey(redis, token);
		const hash = async () => String(await redis.call("HGET", key, "pw"));
		for (const BCRYPT_COST of ["5", "4"]) {
			const password = `Secret${BCRYPT_COST}horse`;
			assert.equal((await users(["password", "--email", email], { input: `${password}\n`, env: { BCRYPT_COST } })).status, 0);
			const before = await hash();
			assertProblem(await login(email, "Wrong1horse"), 401);
			assert.equal(await hash(), before);
			const first = await ok(login(email, password));
			const renewed = await hash();
			assert.equal(renewed === before, BCRYPT_COST === "4");
			await ok(login(email, password));
			assert.equal(await hash(), renewed);
			await ok(me(first.token));
		}
	});

	test("the first administrator's place goes on to another when he is none any more", async () => {
		const redis = await stack.redis();
		const role = (email, word) => users(["set-role", "--email", email, "--role", word]);
		const admins = async () => JSON.parse((await users(["list", "--json"])).stdout).filter((a) => a.role === "admin").map((a) => a.email);
		const all = [...await admins(), (await signedUp()).email, (await signedUp()).email];
		for (const email of all)
			assert.equal((await role(email, "admin")).status, 0);
		const places = new Set();
		for (const email of all.slice(0, -1)) {
			places.add(String(await redis.call("GET", "first:{0}")));
			assert.equal((await role(email, "user")).status, 0);
		}
		places.add(String(await redis.call("GET", "first:{0}")));
		assert.equal(places.size, all.length, "it has been each one's");
		assert.deepEqual(await admins(), all.slice(-1));
		assert.equal((await role(all.at(-1), "user")).status, 0);
		assert.equal(await redis.call("GET", "first:{0}"), null, "nobody is");
		assert.equal((await role(all[0], "admin")).status, 0);
		assert.ok(await redis.call("GET", "first:{0}"));
	});

	test("lists accounts, changes roles at once, sets passwords", async () => {
		const { email, token, refreshToken } = await signedUp({ name: "Listed Person" });
		const list = await users(["list"]);
		assert.equal(list.status, 0, list.stderr);
		assert.match(list.stdout, new RegExp(`user +${email.replace("+", "\\+")} +Listed Person`));
		assert.equal((await users(["set-role", "--email", email, "--role", "admin"])).status, 0);
		assert.equal((await ok(me(token))).role, "admin", "without signing in again");
		assert.equal((await users(["set-role", "--email", email, "--role", "user"])).status, 0);
		assert.equal((await ok(me(token))).role, "user");
		assert.equal((await users(["password", "--email", email], { input: "Reset1password\n" })).status, 0);
		assertProblem(await me(token), 401);
		assertProblem(await refresh(refreshToken), 401);
		assertProblem(await login(email), 401);
		await ok(login(email, "Reset1password"));
	});
});

describe("the program", () => {
	test("does not start without JWT_SECRET, or with one that is too short, and says so", async () => {
		const program = path.join(stack.dir, "app/libexec/helpline/auth");
		for (const [secret, words] of [["", /JWT_SECRET is not set/], ["short", /JWT_SECRET.*32 bytes/]]) {
			const child = spawn(program, [], { env: environment({ JWT_SECRET: secret, HELPLINE_SECRETS: path.join(stack.dir, "secrets") }) });
			let text = "";
			child.stderr.on("data", (data) => { text += data; });
			assert.equal(await new Promise((resolve) => { child.on("close", resolve); }), 2);
			assert.match(text, words);
		}
	});

	test("that dies while somebody registers makes one account", async () => {
		const email = address();
		const asked = Promise.all(Array.from({ length: 20 }, () => register()));
		const mine = register({ email });
		await stack.kill("auth");
		assert.equal((await mine).status, 201);
		assert.deepEqual((await asked).map((r) => r.status).filter((s) => s !== 201), []);
		await ok(login(email));
	});
});
