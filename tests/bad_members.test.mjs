// Each member of each body that www/openapi.json describes, and each parameter, made into what it must not be: a clear
// refusal, or it is taken as what it is, and nothing worse. A new route, or a new member, cannot escape.

import { test, before, after, describe } from "node:test";
import assert from "node:assert/strict";
import { startStack, assertProblem, waitFor, unique } from "./harness.mjs";
import { Person, DESK_ENV } from "./desk.mjs";
import { operations, resolve } from "./openapi.mjs";
import { startTwirp } from "./twirp.mjs";

const IDS = { agents: "agent", "company-agents": "agent", conversations: "conversation", escalations: "escalation" };

let livekit, stack, ada;

before(async () => {
	livekit = await startTwirp();
	stack = await startStack({ env: { ...livekit.env, ...DESK_ENV } });
	ada = await Person.join(stack);
	ada.untouched = (await ada.agent())._id;
	ada.agent = (await ada.agent())._id;
	ada.conversation = (await ada.conversation(ada.agent))._id;
	await ada.say(ada.conversation, "I want to talk to a real person, please");
	[{ _id: ada.escalation }] = await ada.ok("GET", "/api/escalations");
});
after(async () => {
	await stack?.stop();
	await livekit?.close();
});

// Those with API keys are refused before their bodies are looked at; what a webhook says is signed.
const asked = operations.map((o) => ({ ...o, json: resolve(o.operation.requestBody)?.content?.["application/json"] }))
	.filter((o) => o.json && !o.path.startsWith("/v1/"));
const nameOf = (o) => `${o.method} ${o.path}`;
const membersOf = (o) => Object.keys(resolve(o.json.schema).properties ?? {});

const target = (o) => o.path.replace(/\{(\w+)\}/g, (_, name) => ada[IDS[o.path.slice(0, o.path.indexOf(`{${name}}`)).split("/").at(-2)]] ?? "room");

function send(o, body) {
	return stack.call(o.method, target(o), { body, headers: o.operation.security.length > 0 ? ada.headers : {} });
}

// A request that would be good: its example, with ids that are somebody's.
function good(o) {
	const body = { ...o.json.example };
	for (const [name, id] of [["agentId", ada.agent], ["conversationId", ada.conversation]])
		if (name in body)
			body[name] = id;
	if ("email" in body && o.path.endsWith("register"))
		body.email = `${unique("bad")}@example.com`;
	return body;
}

const odd = [null, true, false, 0, -1, 1.5, 1e300, -1e300, "", "  ", [], [[]], [null], {}, { a: 1 }, { $ne: null }, { __proto__x: 1 }, { length: 1 },
	"x".repeat(40_000), "\u202e\u0007\u001b[31m", "<script>alert(1)</script>", "'; --", "%00%n%s", "../../etc/passwd", "\ufeff\u200b", "é".repeat(20_000)];
const text = JSON.stringify;
const kind = (value) => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);
const broken = ["\"\\ud800\"", "\"\\udfff\\ud800\"", "\"a\\u0000b\"", "\"\\ud83d\"", "{\"a\\ud800\":1}", "[\"\\udc00\"]", "01", "+1", "NaN", "'x'", "\"\t\"", "\"\\x41\"", "1e999999", "tru", ""];

// Whether the document allows a value of that type there; null is always as if it were absent, or refused.
function mayBe(schema, value) {
	const types = [resolve(schema).type ?? []].flat().map((t) => (t === "integer" ? "number" : t));
	return value === null || types.length === 0 || types.includes(kind(value));
}

// What answers: no fault of ours, a refusal says why, and what is of a wrong type is refused.
function isClear(res, allowed, what) {
	if (res.status >= 400 || !allowed)
		assertProblem(res, [400, 401, 403, 404, 409, 413, 422, 429], undefined, what);
	else
		assert.ok(res.status >= 200 && res.status < 300, `${what}: ${res.status}`);
}

describe("members of bodies", () => {
	test("are known: every operation with a body has them, and an example", () => {
		assert.ok(asked.length >= 20, `${asked.length} operations`);
		for (const o of asked)
			assert.ok(o.json.example !== undefined, nameOf(o));
	});

	for (const o of asked)
		test(`${nameOf(o)}: of any type and size`, async () => {
			for (const name of membersOf(o))
				for (const value of odd) {
					const body = text({ ...good(o), [name]: value });
					isClear(await send(o, body), mayBe(resolve(o.json.schema).properties[name], value), `${nameOf(o)} ${name} ${text(value).slice(0, 60)}`);
				}
		});

	for (const o of asked)
		test(`${nameOf(o)}: that are no JSON, or there twice, are 400`, async () => {
			for (const name of membersOf(o)) {
				const rest = text(good(o)).slice(1);
				for (const value of [...broken, `1,"${name}":2`])
					assertProblem(await send(o, `{"${name}":${value}${rest.length > 1 ? "," : ""}${rest}`), 400, undefined, `${nameOf(o)} ${name} ${value}`);
			}
		});

	test("and parameters of queries: nothing makes a fault", async () => {
		const values = ["", "0", "-1", "1e9", "99999999999999999999", "x".repeat(3000), "%00", "%ff%fe", "%ed%a0%80", "%", "%zz", "a%26b%3Dc", "2026-02-30", "2026-13-01", "0000-00-00",
			"9999-12-31", "2026-01-01T00:00:00Z", "%F0%9F%8D%B5", "%2e%2e%2f", "[]", "$ne"];
		for (const o of operations.filter((each) => each.method === "GET" && each.operation.security.some((s) => "token" in s)))
			for (const { name } of (o.operation.parameters ?? []).map(resolve).filter((each) => each.in === "query"))
				for (const query of [...values.map((v) => `${name}=${v}`), `${name}`, `${name}=1&${name}=2`, `${name}[]=1`, `&&=&${name}=1&`]) {
					const res = await stack.get(`${target(o)}?${query}`, ada.headers);
					assert.ok(res.status < 500, `${nameOf(o)}?${query}: ${res.status} ${res.text.slice(0, 200)}`);
					if (res.status >= 400)
						assertProblem(res, [400, 404, 414], undefined, `${nameOf(o)}?${query}`);
				}
	});

	test("and of events of sockets: each is acknowledged, and the socket lives", async () => {
		const client = await stack.client();
		const sessionId = await client.join();
		const agentId = ada.untouched;		// the other one may be anything by now
		const begun = await client.ask("start_conversation", { userId: ada.user._id, agentId, isCallSimulator: false });
		const { conversationId } = await client.when("conversation_started");
		assert.equal(begun.ok, true);
		const events = {
			"join-chat": { userId: "visitor-1", sessionId, seq: 0 },
			"send-message": { sessionId, userId: "visitor-1", message: "Hello", clientMessageId: "1" },
			start_conversation: { userId: ada.user._id, agentId, agentInfo: { name: "x", prompts: [] }, isCallSimulator: false, audio: "none" },
			user_message: { conversationId, message: "Hello", isCallSimulator: false, userId: "x", agentId, agentInfo: {}, clientMessageId: "2", audio: "none" },
			user_audio: { conversationId, transcript: "Hello", clientMessageId: "3" },
			voice_start: { conversationId, rate: 48000, greet: false },
		};
		for (const [name, whole] of Object.entries(events)) {
			for (const payload of [undefined, null, [], "x", 7, true, {}])
				assert.equal((await client.ask(name, ...(payload === undefined ? [] : [payload]))).ok, false, `${name} ${text(payload)}`);
			for (const member of Object.keys(whole))
				for (const value of odd) {
					const said = await client.ask(name, { ...whole, [member]: value });
					assert.equal(typeof said.ok, "boolean", `${name} ${member} ${text(value).slice(0, 60)}: ${text(said)}`);
					if (!said.ok)
						assert.ok(typeof said.error === "string" && said.error && said.code !== "internal", `${name} ${member} ${text(value).slice(0, 60)}: ${text(said)}`);
				}
		}
		for (const name of ["", "connect ", "__proto__", "constructor", "x".repeat(10_000), "é"])
			assert.equal((await client.ask(name, { a: 1 })).ok, false, name.slice(0, 20));
		assert.equal((await client.ask("send-message", { sessionId, userId: "visitor-1", message: "Still there?" })).ok, true);
		assert.equal(client.events.filter((e) => e.name === "disconnect").length, 0);
	});

	test("and of what a socket connects with: it is let in, or told why not", async () => {
		for (const value of odd) {
			for (const auth of [{ token: value }, { pid: value, offset: value }, { pid: "A".repeat(22), offset: value }, { [text(value).slice(0, 50)]: value }]) {
				const client = await stack.client({ connect: false, auth, reconnection: false });
				await waitFor("an answer", () => client.events.some((e) => ["connect", "connect_error"].includes(e.name)));
				const refused = client.events.find((e) => e.name === "connect_error");
				const none = !("token" in auth) || value === null || value === "";
				assert.equal(refused === undefined, none, `${text(auth).slice(0, 80)}: ${refused?.data?.message}`);
				if (refused)
					assert.equal(refused.data.data.code, "unauthorized", text(auth).slice(0, 80));
				client.close();
			}
		}
	});

	test("after all that everything is there", async () => {
		const known = await ada.ok("GET", "/api/auth/me");
		assert.equal(known._id, ada.user._id);
		await ada.ok("GET", "/api/agents");
		await ada.ok("GET", "/api/conversations");
		await ada.ok("GET", "/api/escalations");
	});
});
