// Agents: every row of the contract's table, each field and its limits, who may see what, the test call, images.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { deflateSync } from "node:zlib";
import { startUpstream, reply, failure } from "./upstream.mjs";
import { startStack, runScript, assertProblem, unique, root, ISO } from "./harness.mjs";
import { AGENT, DESK_ENV, Person } from "./desk.mjs";

const SECRET = "a secret of the tests, longer than 32 bytes";
const MAX_FILE = 300 * 1024;

let upstream, stack, ada, bob;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { ...DESK_ENV, JWT_SECRET: SECRET, MAX_FILE_SIZE: "300KB", FRONTEND_URL: "https://app.example" } });
	ada = await Person.join(stack, "Ada Lovelace");
	bob = await Person.join(stack, "Bob Byron");
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => upstream.reset());

const ids = (list) => list.map((a) => a._id);

describe("the table of the contract", () => {
	test("POST /api/agents: 201 and the agent, with everything that the client reads and that is documented", async () => {
		const res = await ada.post("/api/agents", AGENT);
		assert.equal(res.status, 201, res.text);
		const a = res.json;
		for (const [name, value] of Object.entries(AGENT))
			assert.deepEqual(a[name], value, name);
		assert.match(a._id, /^[\w-]{22}$/);
		assert.equal(a.company, AGENT.companyName);
		assert.equal(a.userId, ada.user._id);
		assert.match(a.createdAt, ISO);
		assert.equal(a.updatedAt, a.createdAt);
		assert.equal(a.responseStyle, "friendly");
		assert.deepEqual(a.settings, { maxTokens: 800, temperature: 0.7 });
		assert.deepEqual([a.systemPrompt, a.voice, a.avatar], ["", "", "/public/avatars/ai-avatar.svg"]);
		assert.deepEqual([a.aliases, a.publicStart, a.status], [[], true, "active"]);
		assert.deepEqual(a.analytics, { totalCalls: 0, lastActivity: null });
	});

	test("an administrator reads anybody's, but not its system prompt, and changes none", async () => {
		const root = await Person.join(stack, "Root Reader");
		const { _id } = await ada.ok("POST", "/api/agents", { ...AGENT, systemPrompt: "The secret is the lamp." }, 201);
		assertProblem(await root.get(`/api/agents/${_id}`), 404);
		const made = await runScript(["users", "set-role", "--email", root.account.email, "--role", "admin", "--state-dir", stack.dir]);
		assert.equal(made.status, 0, made.stderr);
		const seen = await root.ok("GET", `/api/agents/${_id}`);
		assert.deepEqual({ ...seen, systemPrompt: "The secret is the lamp." }, await ada.ok("GET", `/api/agents/${_id}`));
		assert.equal(seen.systemPrompt, "");
		assertProblem(await root.call("PUT", `/api/agents/${_id}`, { name: "Mine" }), 404);
		assertProblem(await root.call("DELETE", `/api/agents/${_id}`), 404);
		assertProblem(await root.get(`/api/agents/${"A".repeat(22)}`), 404);
	});

	test("POST with the same Idempotency-Key makes one agent, and gives it as it is now", async () => {
		const key = { "idempotency-key": unique() };
		const make = (who, more = {}) => who.ok("POST", "/api/agents", { ...AGENT, ...more }, 201, key);
		const [one, same] = await Promise.all([make(ada), make(ada)]);
		assert.equal(same._id, one._id);
		await ada.ok("PUT", `/api/agents/${one._id}`, { personality: "changed" });
		const again = await make(ada);
		assert.deepEqual([again._id, again.name, again.personality], [one._id, AGENT.name, "changed"]);
		assertProblem(await ada.call("POST", "/api/agents", { ...AGENT, name: "Somebody else" }, key), 422, /used for another agent/);
		assert.notEqual((await make(bob))._id, one._id);
		assert.equal((await ada.ok("GET", "/api/agents")).filter((a) => a._id === one._id).length, 1);
		await ada.ok("DELETE", `/api/agents/${one._id}`);
		assertProblem(await ada.call("POST", "/api/agents", AGENT, key), 409, /Idempotency-Key has been deleted/);
		assertProblem(await ada.get(`/api/agents/${one._id}`), 404);
		await ada.ok("POST", "/api/agents", AGENT, 201, { "idempotency-key": unique() });
	});

	test("GET /api/agents: a bare array, the newest first", async () => {
		const carl = await Person.join(stack);
		assert.deepEqual(await carl.ok("GET", "/api/agents"), []);
		const made = [];
		for (let i = 0; i < 5; i++)
			made.unshift(await carl.agent({ name: `Agent ${i}` }));
		assert.deepEqual(await carl.ok("GET", "/api/agents"), made);
	});

	test("GET /api/agents/:id: the agent; prompts always an array", async () => {
		const bare = await ada.ok("POST", "/api/agents", { name: "Bare", companyName: "Acme" }, 201);
		assert.deepEqual(bare.prompts, []);
		assert.equal(bare.personality, "");
		assert.deepEqual(await ada.ok("GET", `/api/agents/${bare._id}`), bare);
	});

	test("PUT /api/agents/:id: the whole object back, and members that are absent stay", async () => {
		const a = await ada.agent({ systemPrompt: "Mention the sale.", aliases: ["Acme Tools"], responseStyle: "formal" });
		const whole = { ...a, personality: "stern", _id: "x", userId: bob.user._id, createdAt: "1999", updatedAt: 5, analytics: null };
		const changed = await ada.ok("PUT", `/api/agents/${a._id}`, whole);
		assert.deepEqual({ ...changed, updatedAt: a.updatedAt }, { ...a, personality: "stern" });
		assert.ok(changed.updatedAt > a.updatedAt);
		const one = await ada.ok("PUT", `/api/agents/${a._id}`, { name: "Other" });
		assert.deepEqual({ ...one, updatedAt: a.updatedAt }, { ...a, personality: "stern", name: "Other" });
		assert.deepEqual(await ada.ok("GET", `/api/agents/${a._id}`), one);
		const cleared = await ada.ok("PUT", `/api/agents/${a._id}`, { systemPrompt: null, prompts: [], aliases: null, companyInfo: "" });
		assert.deepEqual([cleared.systemPrompt, cleared.prompts, cleared.aliases, cleared.companyInfo], ["", [], [], ""]);
		assert.equal(cleared.name, "Other");
	});

	test("PUT: the company has two names, whichever of them was changed", async () => {
		const a = await ada.agent();
		assert.equal((await ada.ok("PUT", `/api/agents/${a._id}`, { ...a, company: "One" })).companyName, "One");
		assert.equal((await ada.ok("PUT", `/api/agents/${a._id}`, { ...a, company: "One", companyName: "Two" })).company, "Two");
		for (const company of [null, ""])
			assert.equal((await ada.ok("PUT", `/api/agents/${a._id}`, { ...a, companyName: "Two", company })).company, "Two");
		assert.equal((await ada.ok("POST", "/api/agents", { name: "X", company: "Three" }, 201)).companyName, "Three");
	});

	test("PUT: maxTokens and temperature, in settings or at the top", async () => {
		const a = await ada.agent({ settings: { maxTokens: 100, temperature: 0 } });
		assert.deepEqual(a.settings, { maxTokens: 100, temperature: 0 });
		const b = await ada.ok("PUT", `/api/agents/${a._id}`, { ...a, maxTokens: 50 });
		assert.deepEqual(b.settings, { maxTokens: 50, temperature: 0 });
		const c = await ada.ok("PUT", `/api/agents/${a._id}`, { temperature: 1.25 });
		assert.deepEqual(c.settings, { maxTokens: 50, temperature: 1.25 });
		const d = await ada.ok("PUT", `/api/agents/${a._id}`, { settings: { maxTokens: null, temperature: null } });
		assert.deepEqual(d.settings, { maxTokens: 800, temperature: 0.7 });
	});

	test("DELETE /api/agents/:id: 200 with a message, and it is gone", async () => {
		const a = await ada.agent();
		assert.ok((await ada.ok("DELETE", `/api/agents/${a._id}`)).message);
		assertProblem(await ada.get(`/api/agents/${a._id}`), 404, /no such agent/);
		assertProblem(await ada.delete(`/api/agents/${a._id}`), 404);
		assertProblem(await ada.put(`/api/agents/${a._id}`, { name: "Back" }), 404);
		assert.ok(!ids(await ada.ok("GET", "/api/agents")).includes(a._id));
	});

	test("/api/company-agents is the same resource", async () => {
		const a = await ada.ok("POST", "/api/company-agents", AGENT, 201);
		assert.deepEqual(await ada.ok("GET", `/api/agents/${a._id}`), a);
		assert.deepEqual(await ada.ok("GET", "/api/company-agents"), await ada.ok("GET", "/api/agents"));
		assert.equal((await ada.ok("PUT", `/api/company-agents/${a._id}`, { name: "Else" })).name, "Else");
		assert.equal((await ada.ok("POST", `/api/company-agents/${a._id}/test`, { message: "Hi" })).model, "test-model");
		await ada.ok("DELETE", `/api/company-agents/${a._id}`);
		assertProblem(await ada.get(`/api/agents/${a._id}`), 404);
	});
});

describe("POST /api/agents/:id/test", () => {
	test("gives response, model, latencyMs and tokens, asks as the agent, and stores nothing", async () => {
		const a = await ada.agent({ systemPrompt: "Mention the sale.", responseStyle: "formal", maxTokens: 77, temperature: 0.3 });
		const before = (await (await stack.redis()).call("DBSIZE"));
		upstream.next(reply("We have spades.", { usage: { prompt_tokens: 321, completion_tokens: 12, total_tokens: 333 } }));
		const res = await ada.ok("POST", `/api/agents/${a._id}/test`, { message: "Do you have spades?" });
		assert.equal(res.response, "We have spades.");
		assert.equal(res.model, "test-model");
		assert.ok(Number.isInteger(res.latencyMs) && res.latencyMs >= 0 && res.latencyMs < 60_000);
		assert.ok(res.tokens.prompt > 0 && res.tokens.completion > 0, JSON.stringify(res.tokens));
		assert.equal(upstream.requests.length, 1);
		const { body } = upstream.requests[0];
		assert.equal(body.max_completion_tokens ?? body.max_tokens, 77);
		assert.equal(body.temperature, 0.3);
		const system = body.messages[0].content;
		for (const words of ["Robin", "Acme Garden Tools", "kind and brief", "We sell garden tools.", "Be honest about delivery times.", "Mention the sale.", "formally"])
			assert.ok(system.includes(words), words);
		assert.deepEqual(body.messages.slice(-1), [{ role: "user", content: "Do you have spades?" }]);
		const after = await (await stack.redis()).call("DBSIZE");
		assert.ok(after - before <= 1, `at most the rate limit is new: ${before} ${after}`);
		assert.deepEqual(await ada.list(), []);
	});

	test("refuses what is no message, and says when the model cannot answer", async () => {
		const a = await ada.agent();
		for (const body of [{}, { message: "" }, { message: "  " }, { message: 5 }, { message: null }, { message: [] }])
			assertProblem(await ada.post(`/api/agents/${a._id}/test`, body), 400, /message/);
		assertProblem(await ada.post(`/api/agents/${a._id}/test`, { message: "x".repeat(20_000) }), 413, /message/);
		assert.equal(upstream.requests.length, 0);
		for (let i = 0; i < 10; i++)
			upstream.next(failure(401, { message: "no", type: "invalid_request_error", code: "invalid_api_key" }));
		assertProblem(await ada.post(`/api/agents/${a._id}/test`, { message: "Hi" }), 502, /model/);
	});
});

describe("without a model", () => {
	test("the offline responder answers the test call and says that it did", async () => {
		const offline = await startStack({ env: { ...DESK_ENV, OPENAI_BASE_URL: "none" } });
		try {
			const eve = await Person.join(offline);
			const a = await eve.agent();
			const res = await eve.ok("POST", `/api/agents/${a._id}/test`, { message: "How long does delivery take?" });
			assert.equal(res.model, "offline");
			assert.ok(res.response.length > 20);
			assert.deepEqual(res.tokens, { prompt: 0, completion: 0 });
		} finally {
			await offline.stop();
		}
	});
});

describe("who may", () => {
	test("an agent is its owner's alone, in every route", async () => {
		const a = await ada.agent();
		const image = png();
		for (const id of [a._id, "x", "0".repeat(22), `${a._id}x`, a._id.slice(1), "%00", "..%2f", "507f1f77bcf86cd799439011", "é".repeat(11)])
			for (const base of ["/api/agents", "/api/company-agents"]) {
				const at = `${base}/${encodeURI(id)}`;
				assertProblem(await bob.get(at), [400, 404], undefined, at);
				assertProblem(await bob.put(at, { name: "Mine" }), [400, 404], undefined, at);
				assertProblem(await bob.delete(at), [400, 404], undefined, at);
				assertProblem(await bob.post(`${at}/test`, { message: "Hi" }), [400, 404], undefined, at);
				assert.ok([400, 404].includes((await send(bob, `${at}/avatar`, image)).status), at);
			}
		assert.ok(!ids(await bob.ok("GET", "/api/agents")).includes(a._id));
		assert.deepEqual(await ada.ok("GET", `/api/agents/${a._id}`), a, "as it was");
		assert.equal(upstream.requests.length, 0);
	});

	test("without a token 401, and with one that belongs to no account 403", async () => {
		const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
		const sign = (header, claims) => {
			const now = Math.floor(Date.now() / 1000);
			const text = `${base64(header)}.${base64({ iat: now, exp: now + 600, iss: "helpline", aud: "helpline", ...claims })}`;
			return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
		};
		const routes = [["GET", ""], ["POST", ""], ["GET", "/x"], ["PUT", "/x"], ["DELETE", "/x"], ["POST", "/x/test"]];
		for (const [method, more] of routes) {
			const body = method === "GET" || method === "DELETE" ? undefined : AGENT;
			assertProblem(await stack.call(method, `/api/agents${more}`, { body }), 401);
			for (const [token, status] of [
				[sign({ alg: "HS256", typ: "JWT" }, { userId: "ada", role: "admin" }), 403],
				[sign({ alg: "none", typ: "JWT" }, { userId: ada.user._id }), 401],
				[`${ada.token.slice(0, -3)}abc`, 401], [`${bob.token.split(".").slice(0, 2).join(".")}.${ada.token.split(".")[2]}`, 401],
			])
				assertProblem(await stack.call(method, `/api/agents${more}`, { body, headers: { authorization: `Bearer ${token}` } }), status);
		}
	});

	test("a page of another origin may call", async () => {
		const origin = { origin: "https://app.example" };
		const preflight = await stack.call("OPTIONS", "/api/agents/x/avatar", { headers: { ...origin, "access-control-request-method": "PUT" } });
		assert.equal(preflight.status, 204);
		assert.match(preflight.headers["access-control-allow-methods"], /PUT/);
		assert.equal((await ada.get("/api/agents", origin)).headers["access-control-allow-origin"], "https://app.example");
		assertProblem(await ada.get("/api/agents", { origin: "https://evil.example" }), 403);
	});
});

describe("bad input", () => {
	const long = (n) => "x".repeat(n);
	const BAD = [
		[{ name: undefined }, /name is required/], [{ name: "" }, /name/], [{ name: " \u2003" }, /name/], [{ name: null }, /name/], [{ name: 5 }, /name/],
		[{ name: ["a"] }, /name/], [{ name: {} }, /name/], [{ name: long(201) }, /name/], [{ name: "a\nb" }, /name/], [{ name: "a\u001bb" }, /name/],
		[{ name: "a\u202eb" }, /name/], [{ companyName: undefined }, /companyName is required/], [{ companyName: 7 }, /companyName/],
		[{ companyName: long(201) }, /companyName/], [{ company: true }, /company/], [{ personality: 1 }, /personality/],
		[{ personality: long(8001) }, /personality/], [{ companyInfo: [] }, /companyInfo/], [{ companyInfo: long(32_001) }, /companyInfo/],
		[{ systemPrompt: {} }, /systemPrompt/], [{ systemPrompt: long(16_001) }, /systemPrompt/], [{ prompts: "one" }, /prompts/],
		[{ prompts: [1] }, /prompts/], [{ prompts: [null] }, /prompts/], [{ prompts: {} }, /prompts/], [{ prompts: Array(51).fill("x") }, /prompts/],
		[{ prompts: [long(4001)] }, /prompts/], [{ aliases: ["!!!"] }, /aliases/], [{ aliases: [""] }, /aliases/], [{ aliases: "acme" }, /aliases/],
		[{ aliases: [long(101)] }, /aliases/], [{ aliases: Array(101).fill("x") }, /aliases/], [{ responseStyle: "rude" }, /responseStyle/],
		[{ responseStyle: 1 }, /responseStyle/], [{ voice: "a b" }, /voice/], [{ voice: long(65) }, /voice/], [{ avatar: "javascript:alert(1)" }, /avatar/],
		[{ avatar: "//evil.example/x" }, /avatar/], [{ avatar: `/public/avatars/${long(22)}.png` }, /avatar/], [{ avatar: "https://a.example/\"><script>" }, /avatar/],
		[{ avatar: 1 }, /avatar/], [{ settings: [] }, /settings/], [{ settings: "x" }, /settings/], [{ settings: { maxTokens: "9" } }, /maxTokens/],
		[{ settings: { maxTokens: 0 } }, /maxTokens/], [{ settings: { maxTokens: 1.5 } }, /maxTokens/], [{ maxTokens: 1e9 }, /maxTokens/], [{ maxTokens: -1 }, /maxTokens/],
		[{ temperature: 2.1 }, /temperature/], [{ temperature: -0.1 }, /temperature/], [{ temperature: "0.5" }, /temperature/], [{ publicStart: "no" }, /publicStart/],
		[{ status: "paused" }, /status/], [{ status: 1 }, /status/],
	];

	test("every field that is too long, of the wrong type or nonsense is refused by name, and nothing is stored", async () => {
		const carl = await Person.join(stack);
		const a = await carl.agent();
		for (const [wrong, sentence] of BAD) {
			assertProblem(await carl.post("/api/agents", { ...AGENT, ...wrong }), 400, sentence, JSON.stringify(wrong).slice(0, 80));
			if (!Object.values(wrong).includes(undefined) && !wrong.avatar?.toString().startsWith("/public/"))
				assertProblem(await carl.put(`/api/agents/${a._id}`, wrong), 400, sentence, JSON.stringify(wrong).slice(0, 80));
		}
		for (const text of ['{"name":"a\\u0000","companyName":"b"}', '{"name":"\\ud800","companyName":"b"}', '{"name":"a","name":"b","companyName":"c"}', "[]", "5", "", "{"])
			assertProblem(await carl.call("POST", "/api/agents", text), 400, undefined, text);
		assertProblem(await carl.call("POST", "/api/agents", Buffer.from('{"name":"\xff","companyName":"b"}', "latin1")), 400);
		assertProblem(await carl.post("/api/agents", { ...AGENT, companyInfo: long(270_000) }), 413);
		assertProblem(await carl.post("/api/agents", JSON.stringify(AGENT), { "content-type": "text/plain" }), 415);
		assert.deepEqual(await carl.ok("GET", "/api/agents"), [a]);
	});

	test("script in long texts, quotes, any script's letters come back as they were", async () => {
		const texts = { name: "alert('x') {{y}}", companyName: "\"Ünïcödé\" & 株式会社 🫖", personality: "a\\b\n\tc </style><script>alert('x')</script>", companyInfo: "%s %n {{x}} ${y}" };
		const a = await ada.agent(texts);
		for (const [name, value] of Object.entries(texts))
			assert.equal(a[name], value);
		assert.deepEqual(await ada.ok("GET", `/api/agents/${a._id}`), a);
	});

	test("the largest of everything is too much, and says so", async () => {
		const big = { ...AGENT, companyInfo: long(32_000), systemPrompt: long(16_000), personality: long(8000), prompts: Array(45).fill(long(4000)) };
		assertProblem(await ada.post("/api/agents", big), 413, /too much/);
		const fits = { ...big, prompts: Array(20).fill(long(4000)) };
		const a = await ada.ok("POST", "/api/agents", fits, 201);
		assert.equal(a.prompts.length, 20);
		await ada.ok("DELETE", `/api/agents/${a._id}`);
	});
});

test("changes at once are all kept: each member by its own", async () => {
	const a = await ada.agent();
	const changes = [{ name: "N" }, { personality: "P" }, { companyInfo: "I" }, { prompts: ["Q"] }];
	await Promise.all(Array.from({ length: 5 }, () => changes).flat().map((c) => ada.ok("PUT", `/api/agents/${a._id}`, c)));
	const b = await ada.ok("GET", `/api/agents/${a._id}`);
	assert.deepEqual([b.name, b.personality, b.companyInfo, b.prompts], ["N", "P", "I", ["Q"]]);
});

test("nothing of an agent is readable in the store, and no id of it in a key", async () => {
	const word = unique("Zebra");
	const a = await ada.agent({ name: word, companyName: word, systemPrompt: word, aliases: [word] });
	const redis = await stack.redis();
	let cursor = "0";
	do {
		const [next, keys] = await redis.call("SCAN", cursor, "COUNT", "1000");
		for (const key of keys.map(String)) {
			assert.ok(!key.includes(a._id) && !key.includes(ada.user._id), key);
			if (key.startsWith("a:"))
				assert.ok(!JSON.stringify(await redis.call("HGETALL", key)).includes(word));
		}
		cursor = String(next);
	} while (cursor !== "0");
	assert.ok(!stack.log().includes(word) && !stack.log().includes(a._id));
});

// ---- images --------------------------------------------------------------------------------------------------------

const CRC = Array.from({ length: 256 }, (_, n) => {
	for (let k = 0; k < 8; k++)
		n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
	return n >>> 0;
});
const crc = (bytes) => (bytes.reduce((c, b) => CRC[(c ^ b) & 255] ^ (c >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;

function chunk(type, data) {
	const body = Buffer.concat([Buffer.from(type), data]);
	const out = Buffer.alloc(body.length + 8);
	out.writeUInt32BE(data.length, 0);
	body.copy(out, 4);
	out.writeUInt32BE(crc(body), body.length + 4);
	return out;
}

// A PNG of at least so many bytes.
function png(bytes = 0) {
	const header = Buffer.from([0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0, 0]);
	const padding = bytes ? [chunk("teXt", randomBytes(bytes))] : [];
	return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", header), ...padding,
		chunk("IDAT", deflateSync(Buffer.alloc(72))), chunk("IEND", Buffer.alloc(0))]);
}
const gif = () => Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64");
const jpeg = () => Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16]), Buffer.from("JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"), Buffer.alloc(20), Buffer.from([0xff, 0xd9])]);
const webp = () => Buffer.concat([Buffer.from("RIFF"), Buffer.from([22, 0, 0, 0]), Buffer.from("WEBPVP8L"), Buffer.alloc(14)]);

function form(bytes, { field = "avatar", name = "me.png", type = "image/png" } = {}) {
	const data = new FormData();
	data.append("note", "first");
	data.append(field, new Blob([bytes], { type }), name);
	data.append("after", "last");
	return data;
}

const send = (person, target, body, headers = {}) =>
	fetch(stack.url + target, { method: "PUT", body, headers: { ...person.headers, ...(Buffer.isBuffer(body) && { "content-type": "image/png" }), ...headers } });

async function sent(person, target, body) {
	const res = await send(person, target, body);
	const text = await res.text();
	assert.equal(res.status, 200, text);
	return JSON.parse(text);
}

async function refused(person, target, body, status, sentence, headers) {
	const res = await send(person, target, body, headers);
	const text = await res.text();
	assertProblem({ status: res.status, headers: Object.fromEntries(res.headers), text, json: JSON.parse(text) }, status, sentence);
}

const folder = () => path.join(stack.dir, "avatars");
const stored = () => readdirSync(folder());
const fetched = async (address, headers) => {
	const res = await fetch(stack.url + address, { headers });
	return { status: res.status, headers: res.headers, bytes: Buffer.from(await res.arrayBuffer()) };
};

describe("GET /public/avatars/:file", () => {
	test("the default avatars are there", async () => {
		for (const [name, type] of [["ai-avatar.png", "image/png"], ["ai-avatar.svg", "image/svg+xml"]]) {
			assert.match(await stack.raw(`HEAD //public/avatars/${name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`), /^HTTP\/1.1 200 /,
				"the public page asks with two slashes");
			const res = await fetched(`/public/avatars/${name}`);
			assert.equal(res.status, 200, name);
			assert.equal(res.headers.get("content-type").split(";")[0], type);
			assert.equal(res.headers.get("x-content-type-options"), "nosniff");
			assert.match(res.headers.get("cache-control"), /max-age=\d{4,}/);
			assert.deepEqual(res.bytes, readFileSync(path.join(root, "www/public/avatars", name)));
		}
	});

	test("no folder is listed, and nothing else is there", async () => {
		for (const at of ["/public/avatars/", "/public/avatars", "/public/avatars/nothing.png", "/public/avatars/../../secrets/jwt", "/public/avatars/..%2f..%2fsecrets%2fjwt",
			`/public/avatars/${"x".repeat(22)}.png`, "/public/avatars/.part", "/public/"]) {
			const { status, bytes } = await fetched(at);
			assert.ok([400, 403, 404].includes(status), `${at}: ${status}`);
			assert.ok(!bytes.includes("ai-avatar"), at);
		}
	});
});

describe("PUT /api/agents/:id/avatar, PUT /api/auth/avatar", () => {
	test("an image of each allowed type, raw or in a form, is kept and served as what it is", async () => {
		const a = await ada.agent();
		for (const [bytes, type, name] of [[png(), "image/png", "png"], [png(200_000), "image/png", "png"], [gif(), "image/gif", "gif"], [jpeg(), "image/jpeg", "jpg"]])
			for (const body of [bytes, form(bytes), form(bytes, { field: "file", name: "evil.html", type: "text/html" })]) {
				const { avatar } = await sent(ada, `/api/agents/${a._id}/avatar`, body);
				assert.match(avatar, new RegExp(`^/public/avatars/[\\w-]{22}\\.${name}$`));
				const res = await fetched(avatar);
				assert.equal(res.status, 200);
				assert.equal(res.headers.get("content-type"), type);
				assert.equal(res.headers.get("x-content-type-options"), "nosniff");
				assert.match(res.headers.get("content-security-policy"), /default-src 'none'/);
				assert.match(res.headers.get("cache-control"), /max-age=31536000/);
				assert.deepEqual(res.bytes, bytes);
				const part = await fetched(avatar, { range: "bytes=1-3" });
				assert.equal(part.status, 206);
				assert.deepEqual(part.bytes, bytes.subarray(1, 4));
			}
	});

	test("many at once, beside other changes of the same account or agent: all are done, one after the other", async () => {
		const a = await ada.agent();
		await Promise.all(Array.from({ length: 6 }, (_, i) => Promise.all([
			sent(ada, "/api/auth/avatar", png()), sent(ada, `/api/agents/${a._id}/avatar`, png()),
			ada.ok("PUT", "/api/auth/profile", { name: `Ada ${i}` })])));
	});

	test("the one before it is removed: by a new one, by another address, with the agent", async () => {
		const a = await ada.agent();
		const at = `/api/agents/${a._id}`;
		const first = (await sent(ada, `${at}/avatar`, png())).avatar;
		assert.ok(existsSync(path.join(folder(), path.basename(first))));
		const second = (await sent(ada, `${at}/avatar`, gif())).avatar;
		assert.equal((await fetched(first)).status, 404);
		assert.equal((await ada.ok("GET", at)).avatar, second);
		assert.equal((await ada.ok("PUT", at, { ...a, avatar: second, name: "Same" })).avatar, second, "the whole object back");
		assert.equal((await fetched(second)).status, 200);
		const stale = await ada.ok("PUT", at, { ...a, avatar: first, name: "As it was had before" });
		assert.deepEqual([stale.avatar, stale.name], [second, "As it was had before"]);
		assert.equal((await ada.ok("PUT", at, { ...a, name: "Before any image" })).avatar, second, "an older whole object says nothing of it");
		assert.equal((await fetched(second)).status, 200);
		assert.equal((await ada.ok("PUT", at, { avatar: "https://cdn.example/me.png" })).avatar, "https://cdn.example/me.png");
		assert.equal((await fetched(second)).status, 404);
		const third = (await sent(ada, `${at}/avatar`, jpeg())).avatar;
		await ada.ok("DELETE", at);
		assert.equal((await fetched(third)).status, 404);
	});

	test("one's own", async () => {
		const carl = await Person.join(stack, "Carl Friedrich");
		const first = await sent(carl, "/api/auth/avatar", form(png()));
		assert.equal(first._id, carl.user._id);
		assert.equal(first.name, "Carl Friedrich");
		assert.equal((await fetched(first.avatar)).status, 200);
		const second = await sent(carl, "/api/auth/avatar", png());
		assert.equal((await fetched(first.avatar)).status, 404);
		assert.equal((await fetched(second.avatar)).status, 200);
		assert.equal((await carl.ok("GET", "/api/auth/me")).name, "Carl Friedrich", "the rest is as it was");
	});

	test("what is no image, none of the allowed types, cut off or too large is refused, and nothing is kept", async () => {
		const a = await ada.agent();
		const before = stored().length;
		for (const at of [`/api/agents/${a._id}/avatar`, "/api/auth/avatar"]) {
			const html = Buffer.from("<html><script>alert(1)</script></html>");
			const svg = readFileSync(path.join(root, "www/public/avatars/ai-avatar.svg"));
			for (const bytes of [html, svg, webp(), png().subarray(0, -1), Buffer.concat([png(), html]), gif().subarray(0, -1), jpeg().subarray(0, -2), Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.from("GIF89a")]) {
				await refused(ada, at, bytes, 415, /png,jpg,jpeg,gif/);
				await refused(ada, at, form(bytes), 415, /png,jpg,jpeg,gif/);
			}
			await refused(ada, at, undefined, 400, /no image/);
			await refused(ada, at, Buffer.alloc(0), 400, /no image/);
			await refused(ada, at, form(Buffer.alloc(0)), 400, /no image/);
			await refused(ada, at, form(png(), { field: "other" }), 400, /field avatar/);
			for (const type of ["multipart/form-data", "multipart/form-data; boundary=", `multipart/form-data; boundary=${"x".repeat(71)}`, "multipart/form-data; boundary=abc"])
				await refused(ada, at, Buffer.from("--ab\r\n\r\n"), 400, /form/, { "content-type": type });
			await refused(ada, at, png(MAX_FILE - 50), 413, /300KB/);
			await refused(ada, at, form(png(MAX_FILE + 1000)), 413, /300KB/);
			await refused(ada, at, png(MAX_FILE * 3), 413);
			assertProblem(await stack.call("PUT", at, { body: png(), headers: { "content-type": "image/png" } }), 401);
			assertProblem(await ada.call("POST", at, {}), [404, 405]);
		}
		assert.equal((await ada.ok("GET", `/api/agents/${a._id}`)).avatar, a.avatar);
		assert.equal(stored().length, before);
		assert.deepEqual(readdirSync(path.join(stack.dir, "run/nginx-body")), [], "nothing that was sent is left over");
	});

	test("who names another one's image does not get it removed", async () => {
		const a = await ada.agent(), b = await bob.agent();
		const { avatar } = await sent(ada, `/api/agents/${a._id}/avatar`, png());
		assert.equal((await bob.ok("PUT", `/api/agents/${b._id}`, { avatar })).avatar, b.avatar, "it says nothing");
		assertProblem(await bob.post("/api/agents", { ...AGENT, avatar }), 400, /avatar/);
		await sent(bob, `/api/agents/${b._id}/avatar`, png());
		assert.equal((await fetched(avatar)).status, 200);
	});

	test("images sent at once leave one", async () => {
		const a = await ada.agent();
		const before = stored().length;
		await Promise.all(Array.from({ length: 4 }, () => sent(ada, `/api/agents/${a._id}/avatar`, png())));
		assert.equal(stored().length, before + 1);
		assert.equal((await fetched((await ada.ok("GET", `/api/agents/${a._id}`)).avatar)).status, 200);
	});
});
