// One account never reaches what is another's. The requests are made of www/openapi.json, all that want a token, so that a
// new route cannot escape: one whose ids this file does not know fails here.

import { test, before, after, describe } from "node:test";
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { startStack, assertProblem, unique, waitFor } from "./harness.mjs";
import { operations, resolve } from "./openapi.mjs";
import { silence } from "./sound.mjs";
import { startTwirp } from "./twirp.mjs";

// What an id in a path is, by the word before it; and one in a query or a body, by its name.
const PATH_IDS = { agents: "agent", "company-agents": "agent", conversations: "conversation", user: "account", escalations: "escalation",
	room: "room", rooms: "otherRoom", participants: "participant" };
const NAMED_IDS = { agentId: "agent", conversationId: "conversation" };
const NO_IDS = new Set(["clientMessageId"]);		// the client's own

// Silence, and what was said in it.
const RECORDING = Buffer.concat([
	Buffer.from("--b\r\nContent-Disposition: form-data; name=\"transcript\"\r\n\r\nHello?\r\n"),
	Buffer.from("--b\r\nContent-Disposition: form-data; name=\"audio\"; filename=\"a.mp3\"\r\n\r\n"), silence(), Buffer.from("\r\n--b--\r\n"),
]);
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
const PASSWORD = "Correct-Horse-7";

// Those with API keys are in voice_worker_model.test.mjs.
const guarded = operations.filter((o) => o.operation.security.some((s) => "token" in s));
const nameOf = (o) => `${o.method} ${o.path}`;

let livekit, stack, ada, bob;

before(async () => {
	livekit = await startTwirp();
	stack = await startStack({ env: { ...livekit.env, BCRYPT_COST: "4", ESCALATION_CONFIDENCE: "0" } });
	ada = await account("ada");
	bob = await account("bob");
});
after(async () => {
	await stack?.stop();
	await livekit?.close();
});

// ---- two companies -------------------------------------------------------------------------------------------------

const bearer = (token) => (token === undefined ? {} : { authorization: `Bearer ${token}` });

async function must(who, method, target, body, status) {
	const res = await stack.call(method, target, { body, headers: bearer(who.token) });
	assert.equal(res.status, status, `${method} ${target}: ${res.text}`);
	return res.json;
}

// Everything an account can have, with a word in it that is in no other one's.
async function account(name) {
	const mark = unique(name);
	const who = { mark };
	const { token, user } = await must(who, "POST", "/api/auth/register", { name: mark, email: `${mark}@example.com`, password: PASSWORD }, 201);
	Object.assign(who, { token, account: user._id });
	who.agent = (await must(who, "POST", "/api/agents", { name: mark, companyName: `The shop of ${mark}`, personality: mark, companyInfo: mark,
		prompts: [mark], aliases: [mark] }, 201))._id;
	who.conversation = (await must(who, "POST", "/api/conversations", { agentId: who.agent, title: `About ${mark}` }, 201))._id;
	await must(who, "POST", `/api/conversations/${who.conversation}/messages`, { content: `I want to talk to a real person about ${mark}, please` }, 201);
	[{ _id: who.escalation }] = await waitFor("the escalation is in the list", async () => {
		const list = await must(who, "GET", "/api/escalations", undefined, 200);
		return list.length > 0 && list;
	});
	Object.assign(who, { room: `room-of-${mark}`, otherRoom: `other-room-of-${mark}`, participant: `guest-of-${mark}` });
	for (const roomName of [who.room, who.otherRoom])
		await must(who, "POST", "/api/livekit/create-room", { roomName, conversationId: who.conversation }, 201);
	livekit.join(livekit.room(who.room).info.name, who.participant);
	return who;
}

// All that an account sees of itself.
async function snapshot(who) {
	const seen = {};
	for (const target of ["/api/auth/me", "/api/agents", "/api/conversations", `/api/conversations/${who.conversation}`, "/api/escalations",
		`/api/escalations/${who.escalation}`, `/api/conversations/stats/user/${who.account}`, "/api/livekit/rooms", `/api/livekit/room/${who.room}/participants`,
		`/api/conversations/${who.conversation}/events`])
		seen[target] = await must(who, "GET", target, undefined, 200);
	return seen;
}

// ---- requests out of the document ----------------------------------------------------------------------------------

const parametersOf = (o) => (o.operation.parameters ?? []).map(resolve);

function pathKind(o, name) {
	const before = o.path.slice(0, o.path.indexOf(`{${name}}`)).split("/").at(-2);
	assert.ok(PATH_IDS[before], `${nameOf(o)}: what {${name}} is, this test does not know`);
	return PATH_IDS[before];
}

const bodyOf = (o) => {
	const content = resolve(o.operation.requestBody)?.content;
	return content && { json: content["application/json"], type: Object.keys(content)[0] };
};

// Names in the query and in the body that look like ids.
function namedIds(o) {
	const members = Object.keys(resolve(bodyOf(o)?.json?.schema)?.properties ?? {});
	const names = [...parametersOf(o).filter((p) => p.in === "query").map((p) => p.name), ...members];
	const ids = names.filter((name) => /Ids?$|^_?id$/.test(name) && !NO_IDS.has(name));
	ids.forEach((name) => assert.ok(NAMED_IDS[name], `${nameOf(o)}: what ${name} is, this test does not know`));
	return ids;
}

// The request with an account's ids: { target, options }. ids may replace some.
function build(o, whose, token, { named = true, id } = {}) {
	let target = o.path.replace(/\{(\w+)\}/g, (_, name) => id ?? whose[pathKind(o, name)]);
	const ids = namedIds(o);
	const inQuery = parametersOf(o).filter((p) => p.in === "query" && ids.includes(p.name) && named);
	if (inQuery.length > 0)
		target += `?${inQuery.map((p) => `${p.name}=${whose[NAMED_IDS[p.name]]}`).join("&")}`;
	const body = bodyOf(o);
	if (!body)
		return [o.method, target, { headers: bearer(token) }];
	if (body.type === "multipart/form-data")
		return [o.method, target, { headers: { ...bearer(token), "content-type": "multipart/form-data; boundary=b" }, body: RECORDING }];
	if (!body.json)
		return [o.method, target, { headers: { ...bearer(token), "content-type": body.type }, body: PNG }];
	const value = { ...body.json.example };
	for (const name of ids)
		if (name in value)
			value[name] = whose[NAMED_IDS[name]];
	return [o.method, target, { headers: bearer(token), body: value }];
}

const ask = (request) => stack.call(...request);
const hasPathId = (o) => o.path.includes("{");
const makesWhatItNames = (o) => /^\/api\/livekit\/room\/\{id\}\/dispatch$/.test(o.path);	// of one's own: any name can be a room's

function assertNothingOf(whose, res, what) {
	for (const word of [whose.mark, whose.account, whose.agent, whose.conversation, whose.escalation, whose.room, whose.participant])
		assert.ok(!res.text.includes(word), `${what} tells of the other: ${res.text.slice(0, 300)}`);
}

async function unchanged(who, action) {
	const was = await snapshot(who);
	await action();
	assert.deepEqual(await snapshot(who), was);
}

// ---- the tables ----------------------------------------------------------------------------------------------------

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function forgeries() {
	const [head, payload, signature] = ada.token.split(".");
	const claims = JSON.parse(Buffer.from(payload, "base64url"));
	const signed = (header, body, secret) => {
		const text = `${part(header)}.${part(body)}`;
		return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
	};
	const asBob = { ...claims, userId: bob.account };
	return {
		"no token": undefined, "an empty one": "", "a word": "secret", "three words": "a.b.c", "a long one": "x".repeat(6000),
		"algorithm none": `${part({ alg: "none", typ: "JWT" })}.${payload}.`, "algorithm None, signed": `${part({ alg: "None", typ: "JWT" })}.${payload}.${signature}`,
		"another account's name under one's own signature": `${head}.${part(asBob)}.${signature}`,
		"signed with a guess": signed({ alg: "HS256", typ: "JWT" }, asBob, "secret"), "signed with nothing": signed({ alg: "HS256", typ: "JWT" }, asBob, ""),
		"another algorithm": signed({ alg: "HS512", typ: "JWT" }, asBob, randomBytes(32)),
		"without its signature": `${head}.${payload}.`, "cut": ada.token.slice(0, -3),
	};
}

describe("two accounts", () => {
	test("the document's operations are known here: their ids, their bodies", () => {
		assert.ok(guarded.length >= 35, `${guarded.length} operations`);
		for (const o of guarded) {
			build(o, bob, ada.token);
			const body = bodyOf(o);
			assert.ok(!body?.json || body.json.example !== undefined, `${nameOf(o)} has an example to send`);
		}
		// What wants no token has no account's ids: sessions are their own keys.
		for (const o of operations.filter((each) => each.operation.security.length === 0))
			assert.match(o.path, /^\/(api\/v1\/|health$|ready$|api\/auth\/(register|login|refresh|logout)$|public\/|audio\/|uploads\/|api\/livekit\/webhook$)/, nameOf(o));
	});

	test("without a token, or with one that is none, every address says 401 and does nothing", async () => {
		await unchanged(bob, async () => {
			for (const [what, token] of Object.entries(forgeries()))
				for (const o of guarded)
					assertProblem(await ask(build(o, bob, token)), 401, undefined, `${nameOf(o)} with ${what}`);
		});
	});

	test("another's ids in an address are 404, and nothing changes", async () => {
		await unchanged(bob, async () => {
			for (const o of guarded.filter(hasPathId)) {
				const res = await ask(build(o, bob, ada.token, { named: false }));
				assertProblem(res, 404, undefined, nameOf(o));
				assertNothingOf(bob, res, nameOf(o));
			}
		});
	});

	test("another's ids in a query or a body find nothing", async () => {
		await unchanged(bob, async () => {
			const some = guarded.filter((o) => namedIds(o).length > 0);
			assert.ok(some.length >= 2);
			for (const o of some) {
				const res = await ask(build(o, bob, ada.token, { id: hasPathId(o) ? ada.conversation : undefined }));
				assert.ok(res.status === 404 || (o.method === "GET" && res.status === 200), `${nameOf(o)}: ${res.status} ${res.text}`);
				assertNothingOf(bob, res, nameOf(o));
			}
		});
	});

	test("ids that are none are 404, like another's", async () => {
		const odd = ["x", "%2e%2e", "%00", "'", "*", "null", "undefined", "%F0%9F%8D%B5", "a".repeat(22), "A".repeat(21), "-".repeat(23), "b".repeat(2000),
			"..%2f..%2fme", "%c3%28", "1 OR 1=1".replace(/ /g, "%20")];
		for (const id of odd)
			for (const o of guarded.filter((each) => hasPathId(each) && !makesWhatItNames(each))) {
				const res = await ask(build(o, ada, ada.token, { id, named: false }));
				// What is no text at all nginx refuses before anybody looks for it.
				assertProblem(res, /%00/.test(id) ? [400, 404] : 404, undefined, `${nameOf(o)} with ${id.slice(0, 30)}`);
			}
	});

	test("lists hold one's own alone", async () => {
		const lists = guarded.filter((o) => o.method === "GET" && !hasPathId(o));
		assert.ok(lists.length >= 6);
		for (const o of lists) {
			const res = await ask(build(o, ada, ada.token, { named: false }));
			assert.ok([200, 202, 404].includes(res.status), `${nameOf(o)}: ${res.status} ${res.text}`);
			assertNothingOf(bob, res, nameOf(o));
		}
		for (const target of [`/api/conversations?q=${bob.mark}`, `/api/escalations?status=open&userId=${bob.account}`]) {
			const res = await stack.get(target, bearer(ada.token));
			assert.equal(res.status, 200, res.text);
			assertNothingOf(bob, res, target);
		}
	});

	test("the same requests succeed with one's own ids, so it was not for another reason that they failed", async () => {
		const rank = (o) => (o.method === "DELETE" ? (PATH_IDS[o.path.split("/")[2]] === "agent" ? 3 : 2) : o.method === "GET" ? 1 : 0);
		const another = { name: bob.mark, companyName: bob.mark };
		for (const o of [...guarded].sort((a, b) => rank(a) - rank(b))) {
			const res = await ask(build(o, bob, bob.token));
			// An escalation that was given back cannot be closed.
			assert.ok(res.status < 300 || (/close$/.test(o.path) && res.status === 409), `${nameOf(o)}: ${res.status} ${res.text}`);
			if (rank(o) === 3)
				bob.agent = (await must(bob, "POST", "/api/agents", another, 201))._id;
		}
		await assert.doesNotReject(snapshot(ada), "and the other account has all that it had");
	});
});
