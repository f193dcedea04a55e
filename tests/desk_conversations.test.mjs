// Conversations as the public application calls them (contract: desk API, Conversations): each row of its table, whose they
// are, and that what is counted is what a recount finds.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { startUpstream, reply, said } from "./upstream.mjs";
import { startStack, assertProblem, waitFor, pause, unique, ISO } from "./harness.mjs";
import { Person, DESK_ENV, AGENT } from "./desk.mjs";

const BASE = "/api/conversations";
const SENTIMENTS = ["positive", "negative", "neutral", "urgent"];
const ORIGIN = "https://app.example";
const SECRET = "a secret of the tests, longer than 32 bytes";

let upstream, stack, ada, eve, agent;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { ...DESK_ENV, FRONTEND_URL: ORIGIN, JWT_SECRET: SECRET } });
	[ada, eve] = [await Person.join(stack), await Person.join(stack, "Eve Dropper")];
	agent = await ada.agent();
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => upstream.reset());

const titleIsFine = (title) => {
	assert.equal(typeof title, "string");
	assert.match(title.trim(), /^\S+(\s+\S+){2,5}$/u, `three to six words: ${title}`);
	assert.doesNotMatch(title, /["“”„«»]/u);
};

// What the application reads of an entry of the list and of a conversation alike.
function conversationIsFine(c) {
	assert.equal(typeof c._id, "string");
	assert.equal(typeof c.title, "string");
	assert.ok(["active", "completed", "archived"].includes(c.status), c.status);
	assert.ok(Array.isArray(c.messages));
	assert.ok(Array.isArray(c.metadata.intents));
	assert.ok([...SENTIMENTS, "pending"].includes(c.metadata.sentiment), c.metadata.sentiment);
	assert.ok(Number.isInteger(c.metadata.duration) && c.metadata.duration >= 0);
	assert.match(c.metadata.created, ISO);
	assert.match(c.metadata.updated, ISO);
	c.messages.forEach(messageIsFine);
}

function messageIsFine(m) {
	assert.equal(typeof m._id, "string");
	assert.ok(["user", "assistant"].includes(m.role), m.role);
	assert.equal(typeof m.content, "string");
	assert.match(m.timestamp, ISO);
	if (m.metadata?.sentiment !== undefined)
		assert.ok(SENTIMENTS.includes(m.metadata.sentiment));
	if (m.metadata?.confidence !== undefined)
		assert.equal(typeof m.metadata.confidence, "number");
}

describe("POST /api/conversations", () => {
	test("with an agent: 201, and its messages are the welcome alone", async () => {
		const c = await ada.conversation(agent._id);
		conversationIsFine(c);
		assert.equal(c.agentId, agent._id);
		assert.equal(c.status, "active");
		assert.equal(c.metadata.sentiment, "pending");
		assert.deepEqual(c.metadata.intents, []);
		assert.equal(c.metadata.duration, 0);
		assert.deepEqual(c.messages.map((m) => m.role), ["assistant"]);
		assert.ok(c.messages[0].content.length > 0);
		assert.equal(c.demoAgent, undefined);
		assert.equal(upstream.chats.length, 0, "a welcome asks no model");
		titleIsFine(c.title);
	});

	test("with the simulator: the demonstration agent is named, and no more of it", async () => {
		const c = await ada.conversation();
		conversationIsFine(c);
		assert.deepEqual(Object.keys(c.demoAgent).sort(), ["company", "name", "personality"]);
		Object.values(c.demoAgent).forEach((text) => assert.ok(typeof text === "string" && text));
		assert.equal(c.agentId, null);
		assert.equal(c.messages.length, 1);
	});

	test("an agent beside the simulator: the simulator, as over a socket", async () => {
		const c = await ada.ok("POST", BASE, { isCallSimulator: true, agentId: agent._id }, 201);
		assert.ok(c.demoAgent.name);
		assert.equal(c.isCallSimulator, true);
		assert.equal(c.agentId, null);
	});

	test("a title of one's own stays", async () => {
		const c = await ada.conversation(agent._id, { title: "Spades & \"rakes\" 🪏" });
		assert.equal(c.title, "Spades & \"rakes\" 🪏");
		await ada.say(c._id, "How long does delivery take?");
		assert.equal((await ada.read(c._id)).title, c.title);
	});

	test("with the same Idempotency-Key it is begun once, however long ago that was", async () => {
		const [other, bob] = [await ada.agent({ name: "Other" }), await Person.join(stack, "Bob Baker")];
		const key = { "idempotency-key": `${"k".repeat(200)}${unique()}` }, another = { "idempotency-key": `${"k".repeat(200)}${unique()}` };
		const begin = (who, headers, body = { agentId: agent._id }) => who.ok("POST", BASE, body, 201, headers);
		const [one, same] = await Promise.all([begin(ada, key), begin(ada, key)]);
		assert.equal(same._id, one._id);
		await ada.say(one._id, "Do you sell rakes?");
		const later = await begin(ada, key);
		assert.deepEqual([later._id, later.messages.length], [one._id, 3]);
		assert.notEqual((await begin(ada, another))._id, one._id);
		assert.notEqual((await begin(bob, key, { isCallSimulator: true }))._id, one._id, "it is another's key");
		for (const body of [{ agentId: other._id }, { isCallSimulator: true }, { agentId: agent._id, title: "Another" }])
			assertProblem(await ada.post(BASE, body, key), 422, /Idempotency-Key/);
		assertProblem(await ada.post(BASE, { agentId: agent._id }, { "idempotency-key": "k".repeat(257) }), 400, /Idempotency-Key/);
	});

	test("the same Idempotency-Key gives it also when its agent takes no more, or is gone", async () => {
		const mortal = await ada.agent({ name: "Mortal" }), key = { "idempotency-key": unique() };
		const begin = () => ada.ok("POST", BASE, { agentId: mortal._id }, 201, key);
		const { _id } = await begin();
		await ada.ok("PUT", `/api/agents/${mortal._id}`, { status: "inactive" });
		assert.equal((await begin())._id, _id);
		assertProblem(await ada.post(BASE, { agentId: mortal._id, title: "Another" }, key), 422, /Idempotency-Key/);
		assertProblem(await ada.post(BASE, { agentId: mortal._id }, { "idempotency-key": unique() }), 409, /inactive/);
		await ada.ok("DELETE", `/api/agents/${mortal._id}`);
		assert.equal((await begin())._id, _id);
		assertProblem(await ada.post(BASE, { agentId: mortal._id }, { "idempotency-key": unique() }), 404, /no such agent/);
	});

	test("one that was deleted is not begun again by the same Idempotency-Key", async () => {
		const key = { "idempotency-key": unique() };
		const { _id } = await ada.ok("POST", BASE, { agentId: agent._id }, 201, key);
		await ada.ok("DELETE", `${BASE}/${_id}`);
		assertProblem(await ada.post(BASE, { agentId: agent._id }, key), 409, /Idempotency-Key has been deleted/);
		assertProblem(await ada.get(`${BASE}/${_id}`), 404);
	});

	test("what it refuses", async () => {
		for (const body of [{}, { agentId: null }, { agentId: 5 }, { agentId: [agent._id] }, { isCallSimulator: "yes" },
			{ isCallSimulator: false }, { agentId: agent._id, title: 7 }, { agentId: agent._id, title: "x".repeat(1001) }, [], "x"])
			assertProblem(await ada.post(BASE, body), 400, undefined, JSON.stringify(body).slice(0, 80));
		for (const agentId of ["nobody", "A".repeat(22), "../../etc", "x".repeat(300), (await eve.agent())._id])
			assertProblem(await ada.post(BASE, { agentId }), 404, /agent/i, agentId);
		assertProblem(await ada.post(BASE, "{\"agentId\":\"\\u0000\"}"), 400);
		assertProblem(await ada.post(BASE, "{\"title\":\"\\ud800\",\"isCallSimulator\":true}"), 400);
	});
});

describe("POST /api/conversations/:id/messages", () => {
	test("the assistant's message, plus the title", async () => {
		const c = await ada.conversation(agent._id);
		upstream.next(said("Delivery takes two days.", { sentiment: "positive", intents: ["question"], confidence: 0.8 }));
		const m = await ada.say(c._id, "Great! How long does delivery take?");
		messageIsFine(m);
		assert.equal(m.role, "assistant");
		assert.equal(m.content, "Delivery takes two days.");
		titleIsFine(m.title);
		const now = await ada.read(c._id);
		assert.equal(now.title, m.title);
		assert.deepEqual(now.messages.map((x) => x.role), ["assistant", "user", "assistant"]);
		assert.equal(now.messages[2]._id, m._id);
		assert.equal(now.metadata.sentiment, "positive");
		assert.ok(now.metadata.intents.includes("question"));
		assert.equal(now.messages[1].metadata.sentiment, "positive");
		assert.equal(now.messages[1].metadata.intent, "question");
		assert.equal(now.messages[2].metadata.confidence, 0.8);
	});

	test("a message is known again for a day at least, for a conversation does not expire", async () => {
		const redis = await stack.redis(), seen = async () => (await redis.call("KEYS", "c:*:seen")).map(String);
		const known = await seen(), c = await ada.conversation(agent._id);
		await ada.say(c._id, "Do you sell spades?", { clientMessageId: unique() });
		const [key, ...others] = (await seen()).filter((k) => !known.includes(k));
		assert.equal(others.length, 0);
		assert.ok(Number(await redis.call("PTTL", key)) > 86_000_000);
	});

	test("a repeated clientMessageId or Idempotency-Key gets the first answer", async () => {
		const c = await ada.conversation(agent._id);
		const clientMessageId = unique();
		const [a, b] = [await ada.say(c._id, "Do you sell rakes?", { clientMessageId }), await ada.say(c._id, "Do you sell rakes?", { clientMessageId })];
		assert.equal(a._id, b._id);
		assertProblem(await ada.post(`${BASE}/${c._id}/messages`, { content: "other", clientMessageId }), 422);
		const key = { "idempotency-key": unique() };
		const send = () => ada.ok("POST", `${BASE}/${c._id}/messages`, { content: "And spades?" }, 201, key);
		assert.equal((await send())._id, (await send())._id);
		assert.equal((await ada.read(c._id)).messages.length, 5);
	});

	test("a role other than user, no words, too many of them", async () => {
		const c = await ada.conversation(agent._id);
		const to = `${BASE}/${c._id}/messages`;
		for (const role of ["assistant", "system", "", 5, ["user"], {}])
			assertProblem(await ada.post(to, { content: "Hello", role }), 400, /role/, JSON.stringify(role));
		for (const body of [{}, { content: "" }, { content: "  " }, { content: 5 }, { content: null }, { content: ["x"] }])
			assertProblem(await ada.post(to, body), 400, /content/, JSON.stringify(body));
		assertProblem(await ada.post(to, { content: "x".repeat(20_000) }), 413);
		assert.equal((await ada.read(c._id)).messages.length, 1, "nothing was stored");
	});

	test("the model is told what the agent is, and the customer never is", async () => {
		const c = await ada.conversation(agent._id);
		await ada.say(c._id, "Who are you?");
		const prompt = upstream.last.body.messages.filter((m) => m.role === "system").map((m) => m.content).join("\n");
		assert.ok(prompt.includes(AGENT.companyName), prompt);
		assert.ok(prompt.includes(AGENT.prompts[0]), prompt);
		assert.ok(!JSON.stringify(await ada.read(c._id)).includes(AGENT.prompts[0]));
	});
});

describe("GET /api/conversations/:id and its messages", () => {
	test("one, with its analytics", async () => {
		const c = await ada.conversation(agent._id);
		await ada.say(c._id, "I want to buy a spade");
		const one = await ada.read(c._id);
		conversationIsFine(one);
		assert.deepEqual(Object.keys(one.analytics).sort(), ["duration", "messageCount", "satisfaction", "sentiment"]);
		assert.equal(one.analytics.messageCount, 3);
		assert.equal(one.analytics.duration, one.metadata.duration);
		assert.equal(one.analytics.sentiment, one.metadata.sentiment);
		assert.equal(one.analytics.satisfaction, null);
	});

	test("messages are a bare array; after gives what came since", async () => {
		const c = await ada.conversation(agent._id);
		await ada.say(c._id, "One");
		await ada.say(c._id, "Two");
		const all = await ada.ok("GET", `${BASE}/${c._id}/messages`);
		assert.ok(Array.isArray(all));
		all.forEach(messageIsFine);
		assert.deepEqual(all.map((m) => m.seq), [1, 2, 3, 4, 5]);
		assert.deepEqual(await ada.ok("GET", `${BASE}/${c._id}/messages?after=3`), all.slice(3));
		assert.deepEqual(await ada.ok("GET", `${BASE}/${c._id}/messages?after=99`), []);
		for (const after of ["x", "-1", "1e3", "99999999999999999999"])
			assertProblem(await ada.get(`${BASE}/${c._id}/messages?after=${after}`), 400, /after/);
	});
});

describe("PUT and DELETE /api/conversations/:id", () => {
	test("title, status, satisfaction; what is absent stays", async () => {
		const c = await ada.conversation(agent._id);
		const put = (body) => ada.ok("PUT", `${BASE}/${c._id}`, body);
		assert.equal((await put({ title: "  Rakes and more  " })).title, "Rakes and more");
		assert.equal((await put({ status: "archived" })).status, "archived");
		const rated = await put({ satisfaction: 4 });
		conversationIsFine(rated);
		assert.equal(rated.analytics.satisfaction, 4);
		assert.equal(rated.status, "archived");
		assert.equal(rated.title, "Rakes and more");
		assert.deepEqual(await put({}), await ada.read(c._id));
		await put({ ...rated, satisfaction: 5 });		// the whole object back
		assert.equal((await ada.read(c._id)).analytics.satisfaction, 5);
	});

	test("what it refuses", async () => {
		const c = await ada.conversation(agent._id);
		for (const body of [{ status: "gone" }, { status: 1 }, { status: ["active"] }, { satisfaction: 0 }, { satisfaction: 6 },
			{ satisfaction: 2.5 }, { satisfaction: "4" }, { satisfaction: [4] }, { title: 5 }, { title: "" }, { title: "x".repeat(1001) }])
			assertProblem(await ada.put(`${BASE}/${c._id}`, body), 400, new RegExp(Object.keys(body)[0]), JSON.stringify(body).slice(0, 60));
		const now = await ada.read(c._id);
		assert.deepEqual([now.status, now.analytics.satisfaction, now.title], ["active", null, c.title]);
	});

	test("a deleted conversation is gone from everywhere", async () => {
		const c = await ada.conversation(agent._id);
		await ada.say(c._id, "Forget me");
		assert.equal(typeof (await ada.ok("DELETE", `${BASE}/${c._id}`)).message, "string");
		assertProblem(await ada.get(`${BASE}/${c._id}`), 404);
		assertProblem(await ada.delete(`${BASE}/${c._id}`), 404);
		assertProblem(await ada.post(`${BASE}/${c._id}/messages`, { content: "Hello?" }), 404);
		assert.ok(!(await ada.list()).some((x) => x._id === c._id));
	});
});

describe("PUT /api/conversations/:id/end and /update-title", () => {
	test("the end: completed, with title, sentiment and duration; a second one changes nothing", async () => {
		const c = await ada.conversation(agent._id);
		await ada.say(c._id, "My spade arrived broken and this is terrible");
		const ended = await ada.ok("PUT", `${BASE}/${c._id}/end`);
		conversationIsFine(ended);
		titleIsFine(ended.title);
		assert.equal(ended.status, "completed");
		assert.ok(SENTIMENTS.includes(ended.metadata.sentiment));
		assert.equal(upstream.chats.length, 1, "the end asks no model");
		assert.deepEqual(await ada.ok("PUT", `${BASE}/${c._id}/end`, {}), ended);
	});

	test("one that was put away before it was ended gets its title and sentiment, and stays where it is", async () => {
		const c = await ada.conversation();
		await ada.ok("PUT", `${BASE}/${c._id}`, { status: "archived" });
		const ended = await ada.ok("PUT", `${BASE}/${c._id}/end`);
		conversationIsFine(ended);
		titleIsFine(ended.title);
		assert.equal(ended.status, "archived");
		assert.equal(ended.metadata.sentiment, "neutral");
		assert.deepEqual(await ada.ok("PUT", `${BASE}/${c._id}/end`), ended);
	});

	test("one that was put away comes to the same as one that was ended", async () => {
		const [away, over] = [await ada.conversation(), await ada.conversation()];
		for (const c of [away, over]) {
			upstream.next(said("Sorry.", { sentiment: "negative" }), said("Yes.", { sentiment: "neutral" }));
			await ada.say(c._id, "This is a nuisance");
			await ada.say(c._id, "When are you open?");
		}
		const ended = await ada.ok("PUT", `${BASE}/${over._id}/end`);
		assert.equal((await ada.ok("PUT", `${BASE}/${away._id}`, { status: "archived" })).metadata.sentiment, ended.metadata.sentiment);
		assert.equal((await ada.ok("PUT", `${BASE}/${away._id}/end`)).metadata.sentiment, ended.metadata.sentiment);
	});

	test("one that ends while an answer is stored comes to what that found", async () => {
		upstream.otherwise = said("At once.", { sentiment: "urgent", intents: ["cancellation"] });
		for (let i = 0; i < 60; i++) {
			const c = await ada.conversation();
			const answer = ada.say(c._id, "hello");
			await pause(2 + (i % 20) / 2);
			await ada.ok("PUT", `${BASE}/${c._id}/end`);
			await answer;
			const { metadata } = await ada.read(c._id);
			assert.deepEqual([metadata.sentiment, metadata.intents.includes("cancellation")], ["urgent", true], `round ${i}`);
		}
	});

	test("one in which the customer said nothing ends, too", async () => {
		const c = await ada.conversation();
		const ended = await ada.ok("PUT", `${BASE}/${c._id}/end`);
		conversationIsFine(ended);
		titleIsFine(ended.title);
		assert.equal(ended.metadata.sentiment, "neutral");
		assert.equal(ended.metadata.duration, 0);
	});

	test("null is as good as no body", async () => {
		const { _id } = await ada.conversation();
		for (const [method, path] of [["PUT", `/${_id}/end`], ["PUT", `/${_id}/update-title`], ["POST", "/reanalyze-sentiment"]])
			for (const body of ["null", " null\n", "{}"])
				assert.ok((await ada.call(method, BASE + path, body, { "content-type": "application/json" })).status < 300, `${path} ${body}`);
		assertProblem(await ada.call("PUT", `${BASE}/${_id}/end`, "nul", { "content-type": "application/json" }), 400);
	});

	test("update-title gives three to six words, whatever was said", async () => {
		for (const words of ["Hi", "???", "Wie lange dauert die Lieferung nach Österreich?", "我想买一把铲子", "\"Quotes\" everywhere “you” see",
			"<script>alert(1)</script>", "x".repeat(500)]) {
			const c = await ada.conversation(agent._id);
			await ada.say(c._id, words);
			const res = await ada.ok("PUT", `${BASE}/${c._id}/update-title`);
			assert.equal(res.success, true);
			assert.equal(typeof res.message, "string");
			titleIsFine(res.title);
			assert.equal((await ada.read(c._id)).title, res.title);
		}
	});
});

describe("GET /api/conversations", () => {
	let bob, shop, ids;

	before(async () => {
		bob = await Person.join(stack, "Bob Builder");
		shop = [await bob.agent({ name: "One" }), await bob.agent({ name: "Two" })];
		ids = [];
		for (let i = 0; i < 7; i++)
			ids.unshift((await bob.conversation(shop[i % 2]._id, { title: `Conversation number ${i}` }))._id);
	});

	test("a bare array, newest first, of what the application reads", async () => {
		const list = await bob.list();
		assert.ok(Array.isArray(list));
		list.forEach(conversationIsFine);
		assert.deepEqual(list.map((c) => c._id), ids);
		assert.ok(list.every((c) => c.messages.length === 1));
		assert.deepEqual(await eve.list(), []);
	});

	test("agentId, status and sentiment choose", async () => {
		const ofTwo = await bob.list(`?agentId=${shop[1]._id}`);
		assert.deepEqual(ofTwo.map((c) => c._id), ids.filter((_, i) => i % 2 === 1));
		assert.deepEqual(await bob.list(`?agentId=${agent._id}`), [], "somebody else's agent has no conversation here");
		await bob.ok("PUT", `${BASE}/${ids[2]}`, { status: "archived" });
		assert.deepEqual((await bob.list("?status=archived")).map((c) => c._id), [ids[2]]);
		assert.equal((await bob.list("?status=active")).length, 6);
		upstream.next(said("Sorry!", { sentiment: "negative" }));
		await bob.say(ids[4], "This is bad");
		assert.deepEqual((await bob.list("?sentiment=negative")).map((c) => c._id), [ids[4]]);
		assert.equal((await bob.list("?sentiment=pending")).length, 6);
		assert.deepEqual(await bob.list("?sentiment=negative&status=archived"), []);
		for (const query of ["status=gone", "sentiment=angry", "sentiment=not_urgent", "sentiment=x-positive", "limit=0", "limit=x", "limit=101", "limit=-1", "cursor=%00", "cursor=nonsense"])
			assertProblem(await bob.get(`${BASE}?${query}`), 400, new RegExp(query.split("=")[0]), query);
	});

	test("limit and the cursor in Link lead through all of them, each once", async () => {
		const seen = [];
		let target = `${BASE}?limit=3`;
		for (let pages = 0; target && pages < 10; pages++) {
			const res = await bob.get(target);
			assert.equal(res.status, 200, res.text);
			assert.ok(res.json.length <= 3);
			seen.push(...res.json.map((c) => c._id));
			target = nextOf(res);
		}
		assert.deepEqual(seen, ids);
		const filtered = (await bob.get(`${BASE}?limit=1&agentId=${shop[0]._id}`)).headers.link;
		assert.match(filtered, new RegExp(`agentId=${shop[0]._id}`), "the filters are in the next address");
		assert.equal((await bob.get(BASE)).headers.link, undefined, "the last page has none");
	});

	test("q finds words of titles and messages, in any case and script, of one's own", async () => {
		upstream.next(reply("The Straße-Spaten costs 12 €."));
		await bob.say(ids[5], "Was kostet der ZAUBERSPATEN?");
		const find = async (q) => (await bob.list(`?q=${encodeURIComponent(q)}`)).map((c) => c._id);
		assert.deepEqual(await find("zauberspaten"), [ids[5]]);
		assert.deepEqual(await find("straße"), [ids[5]], "what the assistant said");
		assert.deepEqual(await find("NUMBER 3"), [ids[3]], "a title");
		for (const q of ["strasse", "  STRAßE\u00a0", "Str\u0061\u00dfe", "spaten 12", "kostet zauberspaten", "ｋｏｓｔｅｔ"])
			assert.deepEqual(await find(q), [ids[5]], q);
		assert.deepEqual(await find("zauberspaten nowhere"), [], "each word is there");
		await bob.ok("PUT", `${BASE}/${ids[6]}`, { title: "Zu\u0308rich, Việt Nam, 한국" });
		for (const q of ["Zürich", "zu\u0308rich", "zurich", "vie\u0323\u0302t", "viet", "한국".normalize("NFD")])
			assert.deepEqual(await find(q), [ids[6]], q);
		assert.deepEqual(await find("nowhere to be found"), []);
		assert.deepEqual(await find("%&\"\\"), []);
		assert.deepEqual(await eve.list("?q=zauberspaten"), []);
		for (const q of ["%ff", "%00", "%ed%a0%80", "x".repeat(2000)])
			assertProblem(await bob.get(`${BASE}?q=${q}`), 400, /q /, q.slice(0, 20));
		assert.equal((await bob.get(`${BASE}?q=${"a+".repeat(32)}`)).status, 200);
		assert.equal((await bob.get(`${BASE}?q=${"a+".repeat(33)}`)).status, 400);
	});

	test("an ETag that holds until something changes, whatever it is", async () => {
		const of = async (query = "") => (await bob.get(`${BASE}${query}`)).headers.etag;
		const first = await of();
		assert.match(first, /^W\/"[^"]+"$/);
		assert.equal(await of(), first);
		assert.notEqual(await of("?limit=2"), first);
		const res = await bob.get(BASE, { "if-none-match": `"other", ${first}` });
		assert.equal(res.status, 304);
		assert.equal(res.text, "");
		assert.equal(res.headers.etag, first);
		assert.equal((await bob.get(BASE, { "if-none-match": "*" })).status, 304);
		assert.notEqual((await eve.get(BASE, { "if-none-match": first })).status, 304);
		let before = first, shown = (await bob.get(BASE)).text, taken;
		const changes = {
			"a message": () => bob.say(ids[0], "Hello"),
			"a new one": async () => ids.unshift((await bob.conversation())._id),
			"a title": () => bob.ok("PUT", `${BASE}/${ids[1]}`, { title: "Another title here" }),
			"the end": () => bob.ok("PUT", `${BASE}/${ids[1]}/end`),
			"a deletion": () => bob.ok("DELETE", `${BASE}/${ids.shift()}`),
			"a take": async () => {
				await bob.say(ids[0], "Let me talk to a person");
				const [open] = (await bob.ok("GET", "/api/escalations")).filter((e) => e.conversationId === ids[0]);
				const res2 = await bob.get(BASE);
				[before, shown, taken] = [res2.headers.etag, res2.text, open._id];
				await bob.ok("POST", `/api/escalations/${taken}/take`);
			},
			"a return": () => bob.ok("POST", `/api/escalations/${taken}/return`),
		};
		for (const [what, change] of Object.entries(changes)) {
			await change();
			const res2 = await bob.get(BASE, { "if-none-match": before });
			assert.equal(res2.status, 200, `${what} changes the list`);
			assert.notEqual(res2.headers.etag, before, what);
			assert.notEqual(res2.text, shown, what);
			[before, shown] = [res2.headers.etag, res2.text];
		}
	});

	// A blank text to look for is none, but another name: nothing of the page before is at hand.
	test("made from the page before it is as if it were made anew, after any operations", async (t) => {
		const kim = await Person.join(stack, "Kim Lister");
		const shops = [await kim.agent(), await kim.agent({ companyName: "Umbrella" })], live = [];
		let seed = Number(process.env.SEED ?? Date.now() % 2 ** 31), blanks = 0;
		t.diagnostic(`SEED=${seed}`);
		const random = (n) => Math.floor(((seed = (seed * 48271) % 2147483647) / 2147483647) * n);
		const any = () => live[random(live.length)];
		const begin = async (id) => live.push((await kim.conversation(id))._id);
		const open = async () => (await kim.ok("GET", "/api/escalations"))[0];
		const operations = [
			() => begin(shops[random(shops.length)]?._id),
			() => begin(),
			() => kim.say(any(), "What now?"),
			() => kim.say(any(), "Let me talk to a person"),
			async () => {
				const e = await open();
				if (e)
					await kim.ok("POST", `/api/escalations/${e.id ?? e._id}/${e.status === "open" ? "take" : "return"}`);
			},
			() => kim.ok("PUT", `${BASE}/${any()}`, { title: `Title ${random(1e6)}` }),
			() => kim.ok("PUT", `${BASE}/${any()}`, { status: ["active", "completed", "archived"][random(3)], satisfaction: 1 + random(5) }),
			() => kim.ok("PUT", `${BASE}/${any()}/end`),
			() => kim.ok("PUT", `${BASE}/${any()}/update-title`),
			() => kim.ok("DELETE", `${BASE}/${live.splice(random(live.length), 1)[0]}`),
			() => kim.ok("POST", `${BASE}/reanalyze-sentiment`),
			async () => {
				const [gone] = random(4) ? [] : shops.splice(0, 1);
				if (gone)
					await kim.ok("DELETE", `/api/agents/${gone._id}`);
			},
		];
		const asAnew = async (what) => {
			for (const query of ["?limit=4", "?limit=100&status=active"]) {
				const res = await kim.get(BASE + query), anew = await kim.get(`${BASE}${query}&q=${"%20".repeat(++blanks)}`);
				assert.equal(res.status, 200);
				assert.deepEqual(res.json, anew.json, `${what}, ${query}`);
				assert.equal(res.text, anew.text);
				assert.equal(res.headers.link?.replace(/&q=[^&]*/, ""), anew.headers.link?.replace(/&q=[^&]*/, ""));
			}
		};
		for (let i = 0; i < 60; i++) {
			const chosen = live.length < 3 ? 1 : random(operations.length);
			await operations[chosen]();
			await asAnew(`operation ${i + 1} (${chosen})`);
		}
		const last = await kim.agent();
		await begin(last._id);
		await asAnew("begun");
		await kim.ok("DELETE", `/api/agents/${last._id}`);
		await asAnew("its agent is deleted");
		assert.equal((await kim.list("?limit=4"))[0].agentId, null);
	});

	test("who takes gzip gets the list packed, also the first time; who does not, as it is", async () => {
		for (const query of ["?limit=3", "?limit=3", "?limit=4"]) {
			const plain = await bob.get(`${BASE}${query}`, { "accept-encoding": "gzip;q=0, br" });
			assert.equal(plain.headers["content-encoding"], undefined);
			const res = await fetch(`${stack.url}${BASE}${query}`, { headers: bob.headers });
			assert.equal(res.headers.get("content-encoding"), "gzip");
			assert.match(res.headers.get("vary"), /Accept-Encoding/);
			assert.equal(res.headers.get("etag"), plain.headers.etag);
			assert.equal(res.headers.get("link"), plain.headers.link ?? null);
			assert.equal(await res.text(), plain.text);
		}
		const first = await fetch(`${stack.url}${BASE}?limit=4&status=active`, { headers: bob.headers });
		assert.equal(first.headers.get("content-encoding"), "gzip", "the first that asks for it");
		await first.text();
	});

	test("a page of another origin may read Link and ETag", async () => {
		const res = await bob.get(`${BASE}?limit=1`, { origin: ORIGIN });
		assert.equal(res.headers["access-control-allow-origin"], ORIGIN);
		assert.match(res.headers["access-control-expose-headers"], /ETag/);
		assert.match(res.headers["access-control-expose-headers"], /Link/);
	});
});

describe("whose they are", () => {
	const rows = [["GET", ""], ["PUT", "", { title: "Mine now please" }], ["DELETE", ""], ["GET", "/messages"],
		["POST", "/messages", { content: "Hello" }], ["PUT", "/end"], ["PUT", "/update-title"]];

	test("another account's ids, malformed ones and none are 404", async () => {
		const c = await ada.conversation(agent._id);
		for (const [method, rest, body] of rows) {
			assertProblem(await eve.call(method, `${BASE}/${c._id}${rest}`, body), 404, /conversation/i, `${method} ${rest}`);
			for (const id of ["x", "A".repeat(22), `${c._id}x`, "%2e%2e", "undefined", "a'b\"c", "%F0%9F%AA%8F", "x".repeat(200)])
				assertProblem(await ada.call(method, `${BASE}/${id}${rest}`, body), 404, undefined, `${method} ${id}${rest}`);
		}
		assertProblem(await eve.get(`${BASE}/stats/user/${ada.user._id}`), 404);
		assertProblem(await ada.get(`${BASE}/stats/user/nobody`), 404);
		assert.equal((await ada.read(c._id)).messages.length, 1);
	});

	test("without a token, or with a wrong one, 401", async () => {
		const c = await ada.conversation(agent._id);
		const all = [["GET", BASE], ["POST", BASE, { isCallSimulator: true }], ["POST", `${BASE}/reanalyze-sentiment`],
			["GET", `${BASE}/stats/user/${ada.user._id}`], ...rows.map(([method, rest, body]) => [method, `${BASE}/${c._id}${rest}`, body])];
		for (const [method, target, body] of all) {
			assertProblem(await stack.call(method, target, { body }), 401, undefined, `${method} ${target}`);
			assertProblem(await stack.call(method, target, { body, headers: { authorization: "Bearer x.y.z" } }), 401);
		}
	});

	test("a token that was accepted is looked at again: its time, its signature, its account", async () => {
		const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
		const now = Math.floor(Date.now() / 1000);
		const head = `${part({ alg: "HS256", typ: "JWT" })}.${part({ userId: ada.user._id, iat: now, exp: now + 3, iss: "helpline", aud: "helpline", jti: unique() })}`;
		const token = `${head}.${createHmac("sha256", SECRET).update(head).digest("base64url")}`;
		const ask = (t) => stack.get(BASE, { authorization: `Bearer ${t}` });
		assert.equal((await ask(token)).status, 200);
		assert.equal((await ask(token)).status, 200);
		assertProblem(await ask(`${token.slice(0, -2)}${token.endsWith("AA") ? "BB" : "AA"}`), 401);
		assertProblem(await ask(`${part({ alg: "none" })}${token.slice(token.indexOf("."))}`), 401);
		await waitFor("its time is over", async () => (await ask(token)).status === 401);
	});

	test("the chat API does not know them, whoever its userId says he is", async () => {
		const c = await ada.conversation(agent._id);
		for (const userId of [ada.user._id, "visitor-1", ""])
			assert.ok([400, 403, 404].includes((await stack.message(c._id, "Hello", { userId })).status), userId);
		assert.equal((await ada.read(c._id)).messages.length, 1);
	});
});

// ---- what is counted ---------------------------------------------------------------------------------------------------

// The address of the next page, which is relative to this one's.
function nextOf(res) {
	const [, next] = /^<(\?[^>]+)>; rel="next"$/.exec(res.headers.link ?? "") ?? [];
	return next && BASE + next;
}

// The statistics as the lists have them.
async function recount(person) {
	const all = [];
	for (let target = `${BASE}?limit=100`; target;) {
		const res = await person.get(target);
		all.push(...res.json);
		target = nextOf(res);
	}
	const agents = new Map((await person.ok("GET", "/api/agents")).map((a) => [a._id, a.companyName]));
	const of = (sentiment) => all.filter((c) => c.metadata.sentiment === sentiment).length;
	const timed = all.filter((c) => c.messages.some((m) => m.role === "user"));
	const lasted = ({ messages }) => Math.floor((Date.parse(messages.at(-1).timestamp) -
		Date.parse(messages.find((m) => m.role === "user").timestamp)) / 1000);
	for (const c of timed)
		assert.equal(c.metadata.duration, lasted(c), "from his first message to the last one");
	return {
		totalCalls: all.length,
		totalMessages: all.reduce((n, c) => n + c.messages.length, 0),
		sentimentBreakdown: Object.fromEntries(SENTIMENTS.map((s) => [s, of(s)])),
		companies: [...new Set(all.map((c) => agents.get(c.agentId)).filter(Boolean))].sort(),
		durations: timed.reduce((n, c) => n + lasted(c), 0),
		timed: timed.length,
		lastActivity: all.map((c) => c.messages.at(-1)?.timestamp ?? c.metadata.created).sort().at(-1) ?? null,
	};
}

async function equalsARecount(person, what) {
	const [counted, found] = [await person.statistics(), await recount(person)];
	assert.ok(Array.isArray(counted.companiesInteractedWith), what);
	assert.deepEqual({
		totalCalls: counted.totalCalls, totalMessages: counted.totalMessages, sentimentBreakdown: counted.sentimentBreakdown,
		companies: [...counted.companiesInteractedWith].sort(),
	}, {
		totalCalls: found.totalCalls, totalMessages: found.totalMessages, sentimentBreakdown: found.sentimentBreakdown,
		companies: found.companies,
	}, what);
	assert.equal(counted.lastActivity, found.lastActivity, what);
	assert.ok(Math.abs(counted.averageDuration * Math.max(found.timed, 1) - found.durations) <= found.timed + 1,
		`${what}: ${counted.averageDuration} of ${found.durations} in ${found.timed}`);
}

describe("GET /api/conversations/stats/user/:id", () => {
	test("of somebody new: zeros, no companies, no activity", async () => {
		const { sentimentBreakdown, ...rest } = await (await Person.join(stack)).statistics();
		assert.deepEqual(sentimentBreakdown, { positive: 0, negative: 0, neutral: 0, urgent: 0 });
		assert.deepEqual(rest, { totalCalls: 0, averageDuration: 0, lastActivity: null, totalMessages: 0, companiesInteractedWith: [] });
	});

	test("the last activity is the time of the last message, to the millisecond", async () => {
		const liv = await Person.join(stack, "Liv Last");
		const { _id } = await liv.conversation();
		for (let i = 0; i < 40; i++) {
			await liv.say(_id, `message ${i}`);
			assert.equal((await liv.statistics()).lastActivity, (await liv.read(_id)).messages.at(-1).timestamp);
		}
	});

	test("equal to a recount after any operations", async (t) => {
		const kim = await Person.join(stack, "Kim Counter");
		const shops = [await kim.agent({ companyName: "Acme" }), await kim.agent({ companyName: "Umbrella & Söhne" })];
		const live = [];
		let seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
		t.diagnostic(`SEED=${seed}`);
		const random = (n) => Math.floor(((seed = (seed * 48271) % 2147483647) / 2147483647) * n);
		const any = () => live[random(live.length)];
		const operations = [
			async () => live.push((await kim.conversation(shops[random(2)]._id))._id),
			async () => live.push((await kim.conversation())._id),
			async () => {
				upstream.next(said("Well.", { sentiment: SENTIMENTS[random(4)] }));
				await kim.say(any(), "What now?");
			},
			() => kim.ok("PUT", `${BASE}/${any()}/end`),
			() => kim.ok("PUT", `${BASE}/${any()}`, { status: "archived", satisfaction: 1 + random(5) }),
			() => kim.ok("DELETE", `${BASE}/${live.splice(random(live.length), 1)[0]}`),
			() => kim.ok("POST", `${BASE}/reanalyze-sentiment`),
		];
		for (let i = 0; i < 40; i++) {
			const chosen = live.length < 2 ? 0 : random(operations.length);
			await operations[chosen]();
			if (i % 8 === 7)
				await equalsARecount(kim, `after ${i + 1} operations, SEED=${seed}`);
		}
		for (const id of live.splice(0))
			await kim.ok("DELETE", `${BASE}/${id}`);
		await equalsARecount(kim, "when all are deleted");
		assert.equal((await kim.statistics()).lastActivity, null);
	});
});

// Two of them together are more than a page takes.
test("conversations of megabytes are searched and analysed as a whole, whatever stands beside them", async () => {
	const ira = await Person.join(stack, "Ira Long");
	const ids = [];
	for (let i = 0; i < 2; i++)
		ids.push((await ira.conversation())._id);
	upstream.otherwise = said("Well.", { sentiment: "neutral" });
	await Promise.all(ids.map(async (id) => {
		await ira.say(id, "I want to cancel my order of the zebrafinch. This is terrible.");
		for (let i = 0; i < 150; i++)
			await ira.say(id, `${i} ${"long ".repeat(3200)}`);
		await ira.say(id, "The last one");
	}));
	const found = await ira.list("?q=zebrafinch");
	assert.deepEqual(found.map((c) => c._id).sort(), [...ids].sort());
	assert.equal(found.filter((c) => c.messagesCut).length, 1, "one of them alone fills the page");
	await ira.ok("POST", `${BASE}/reanalyze-sentiment`);
	await waitFor("the analysis has ended", async () => (await ira.ok("GET", `${BASE}/reanalyze-sentiment`)).running === false);
	for (const id of ids) {
		const { metadata } = await ira.read(id);
		assert.equal(metadata.sentiment, "negative", id);
		assert.ok(metadata.intents.includes("cancellation"), `${metadata.intents}`);
	}
});

describe("POST /api/conversations/reanalyze-sentiment", () => {
	test("by the rules, over all of one's own, and only what differs is updated", async () => {
		const lee = await Person.join(stack, "Lee Analyst");
		const words = { urgent: "This is urgent, help me immediately", negative: "This is terrible and bad", positive: "Thank you, that is great" };
		const ids = {};
		for (const [sentiment, text] of Object.entries(words)) {
			upstream.next(said("Well.", { sentiment: "neutral" }));
			ids[sentiment] = (await lee.conversation())._id;
			await lee.say(ids[sentiment], text);
		}
		await lee.conversation();
		const first = await lee.ok("POST", `${BASE}/reanalyze-sentiment`);
		assert.equal(first.success, true);
		assert.equal(typeof first.message, "string");
		assert.equal(first.totalConversations, 4);
		assert.equal(first.updatedConversations, 3);
		for (const [sentiment, id] of Object.entries(ids))
			assert.equal((await lee.read(id)).metadata.sentiment, sentiment);
		assert.equal((await lee.ok("POST", `${BASE}/reanalyze-sentiment`, {})).updatedConversations, 0);
		await equalsARecount(lee, "after a new analysis");
		const progress = await lee.ok("GET", `${BASE}/reanalyze-sentiment`);
		assert.deepEqual([progress.running, progress.totalConversations, progress.analyzedConversations, progress.updatedConversations], [false, 4, 4, 0]);
	});

	test("what it found holds until something new is said", async () => {
		const kay = await Person.join(stack, "Kay Analyst");
		upstream.next(said("Well.", { sentiment: "positive" }), said("Well.", { sentiment: "positive" }));
		const [one, two] = [(await kay.conversation())._id, (await kay.conversation())._id];
		for (const id of [one, two])
			await kay.say(id, "This is terrible, I want a refund");
		assert.equal((await kay.ok("POST", `${BASE}/reanalyze-sentiment`)).updatedConversations, 2);
		const mood = async (id) => (await kay.read(id)).metadata.sentiment;
		await kay.ok("PUT", `${BASE}/${one}/end`, {});
		await kay.ok("PUT", `${BASE}/${two}`, { status: "archived" });
		assert.deepEqual([await mood(one), await mood(two)], ["negative", "negative"]);
		await kay.ok("PUT", `${BASE}/${two}`, { status: "completed" });
		assert.equal(await mood(two), "negative");
		upstream.next(said("Gladly.", { sentiment: "positive" }));
		await kay.say(one, "Lovely, thank you");
		await kay.ok("PUT", `${BASE}/${one}/end`, {});
		assert.equal(await mood(one), "positive");
		await equalsARecount(kay, "after all that");
	});

	test("one at a time; what a dead program left is begun again", async () => {
		const max = await Person.join(stack, "Max Twice");
		await Promise.all([max.conversation(), max.conversation()]);
		assertProblem(await max.get(`${BASE}/reanalyze-sentiment`), 404);
		const redis = await stack.redis();
		const jobs = async () => (await redis.call("KEYS", "job:*")).map(String);
		const before = await jobs();
		const both = await Promise.all([1, 2].map(() => max.post(`${BASE}/reanalyze-sentiment`)));
		assert.ok(both.every((res) => [200, 202].includes(res.status) && res.json.totalConversations === 2), both.map((b) => b.text).join());
		const [key] = (await jobs()).filter((k) => !before.includes(k));
		// As if a program were at it, in the middle; then as if it had not been heard of for long.
		await redis.call("HSET", key, "by", "another program", "until", Date.now() + 600_000, "total", 2, "done", 1, "changed", 1);
		const [posted, read] = [await max.post(`${BASE}/reanalyze-sentiment`), await max.get(`${BASE}/reanalyze-sentiment`)];
		assert.deepEqual([posted.status, posted.json.running, posted.json.analyzedConversations], [202, true, 1]);
		assert.deepEqual(read.json, posted.json);
		await redis.call("HSET", key, "until", Date.now() - 1000);
		assert.match((await max.ok("GET", `${BASE}/reanalyze-sentiment`)).message, /cut off at 1 of 2/);
		assert.equal((await max.ok("POST", `${BASE}/reanalyze-sentiment`)).analyzedConversations, 2);
	});
});
