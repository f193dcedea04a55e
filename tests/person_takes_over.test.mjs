// A person takes a conversation over, answers, gives it back: every route, who may call it, and that the assistant is silent
// from the moment of the take on, however late its answer comes.

import { test, before, after, beforeEach, describe } from "node:test";
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { startUpstream, reply, said } from "./upstream.mjs";
import { Person } from "./desk.mjs";
import { startStack, runScript, assertProblem, waitFor, within, pause, unique, ISO } from "./harness.mjs";

const SECRET = "a secret of the tests, longer than 32 bytes";
const ROUNDS = Number(process.env.TAKEOVERS ?? 50);

let upstream, stack, ada, bob;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { JWT_SECRET: SECRET, FRONTEND_URL: "https://desk.example" } });
	ada = desk("ada");
	bob = desk("bob");
});
after(async () => {
	await stack?.stop();
	await upstream.close();
});
beforeEach(() => upstream.reset());

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

// What another service of the installation would sign.
function token(claims, secret = SECRET, header = { alg: "HS256", typ: "JWT" }) {
	const now = Math.floor(Date.now() / 1000);
	const text = `${base64(header)}.${base64({ userId: "ada", role: "admin", iat: now, exp: now + 600, iss: "helpline", aud: "helpline", ...claims })}`;
	return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

// A person at the desk.
function desk(userId, claims = {}) {
	const headers = { authorization: `Bearer ${token({ userId, ...claims })}` };
	const call = (method, path, body) => stack.call(method, `/api/escalations${path}`, { body, headers });
	return {
		userId, headers,
		list: (query = "?status=open") => call("GET", query),
		get: (id) => call("GET", `/${id}`),
		take: (id) => call("POST", `/${id}/take`),
		reply: (id, body) => call("POST", `/${id}/reply`, body),
		giveBack: (id, body) => call("POST", `/${id}/return`, body),
		close: (id, body) => call("POST", `/${id}/close`, body),
	};
}

async function ok(promise, status = 200) {
	const res = await promise;
	assert.equal(res.status, status, res.text);
	return res.json;
}

// A conversation that has asked for a person: { sessionId, id of the escalation }.
async function escalated(words = "I want to talk to a person please", userId = "visitor-1") {
	const sessionId = await stack.session(userId);
	const said = await stack.say(sessionId, words, { userId });
	assert.ok(said.escalation?.id, JSON.stringify(said));
	return { sessionId, id: said.escalation.id };
}

const prompt = () => upstream.requests.at(-1).body.messages;

describe("the routes", () => {
	test("the list has what the desk reads, the most urgent first, then the oldest", async () => {
		const first = await escalated("I want to talk to a person please");
		upstream.next(said("One moment.", { sentiment: "urgent" }));
		const urgent = await escalated("This is urgent, an emergency, I need it immediately!!!");
		const res = await ada.list();
		assert.match(res.headers["content-type"], /^application\/json/);
		const list = await ok(res);
		const mine = list.filter((e) => [first.id, urgent.id].includes(e._id));
		assert.deepEqual(mine.map((e) => e._id), [urgent.id, first.id], JSON.stringify(mine));
		const e = mine[1];
		assert.equal(e.conversationId, first.sessionId);
		assert.equal(e.userId, "visitor-1");
		assert.equal(e.reason, "asked_for_person");
		assert.equal(e.status, "open");
		assert.equal(e.takenBy, null);
		assert.match(e.openedAt, ISO);
		assert.ok(["positive", "negative", "neutral", "urgent"].includes(e.sentiment));
		assert.equal(mine[0].reason, "keyword");
		assert.match(mine[0].keyword, /urgent|emergency/);
		assertProblem(await ada.list("?status=everything"), 400, /status/);
	});

	test("one that becomes urgent while it waits goes before those that are not", async () => {
		const mine = [await escalated(), await escalated()].map((e) => ({ ...e }));
		const listed = async () => (await ok(ada.list())).filter((e) => mine.some((m) => m.id === e._id));
		assert.deepEqual((await listed()).map((e) => e._id), mine.map((m) => m.id));
		upstream.next(said("Somebody comes.", { sentiment: "negative" }), said("Somebody comes.", { sentiment: "urgent" }), said("Good.", { sentiment: "positive" }));
		await stack.say(mine[1].sessionId, "I am still waiting");
		assert.deepEqual((await listed()).map((e) => [e._id, e.sentiment]), [[mine[1].id, "negative"], [mine[0].id, "neutral"]]);
		await stack.say(mine[0].sessionId, "My garden is on fire");
		await stack.say(mine[0].sessionId, "The fire brigade is here now");
		assert.deepEqual((await listed()).map((e) => [e._id, e.sentiment]), [[mine[0].id, "urgent"], [mine[1].id, "negative"]], "it stays as urgent as it was");
	});

	test("hundreds that wait hide none that is urgent, and hundreds that have been taken none that waits", async (t) => {
		const full = await startStack({ env: { JWT_SECRET: SECRET } });
		t.after(() => full.stop());
		const call = (method, path) => full.call(method, `/api/escalations${path}`, { headers: ada.headers });
		const list = async () => (await ok(call("GET", "?status=open"))).map((e) => e._id);
		const begin = async (words) => {
			const sessionId = await full.session();
			return (await full.say(sessionId, words)).escalation.id;
		};
		const ids = [];
		await Promise.all(Array.from({ length: 8 }, async () => {
			while (ids.length < 505)
				ids.push(await begin("I want to talk to a person please"));
		}));
		const last = await begin("This is urgent, an emergency: I want to talk to a person");
		assert.equal((await list())[0], last);
		await Promise.all(Array.from({ length: 8 }, async (_, k) => {
			for (let i = k; i < ids.length; i += 8)
				await ok(call("POST", `/${ids[i]}/take`));
		}));
		assert.deepEqual(await list(), [last]);
	});

	test("one of them comes with its messages", async () => {
		const { sessionId, id } = await escalated();
		const record = await ok(ada.get(id));
		assert.equal(record._id, id);
		assert.deepEqual(record.messages.map((m) => [m.role, m.seq]), [["user", 1], ["assistant", 2]]);
		assert.ok(record.messages.every((m) => m._id && m.content && ISO.test(m.timestamp)), JSON.stringify(record));
		assert.equal(record.conversationId, sessionId);
	});

	test("take, reply, return, close: and what stands in the way of each", async () => {
		const { sessionId, id } = await escalated();
		assertProblem(await ada.reply(id, { content: "Hello" }), 409, /take it first/);
		assertProblem(await ada.giveBack(id), 409, /take it first/);
		assert.equal((await ok(ada.take(id))).takenBy, "ada");
		assert.equal((await ok(ada.take(id))).status, "taken", "a repeated take is no conflict");
		assertProblem(await bob.take(id), 409, /^ada has taken/);
		assertProblem(await bob.reply(id, { content: "Me too" }), 409, /^ada has taken/);
		assert.ok(!(await ok(ada.list())).some((e) => e._id === id), "not open any more");
		assert.ok((await ok(ada.list("?status=taken"))).some((e) => e._id === id && e.takenBy === "ada"));
		for (const body of [{}, { content: "" }, { content: 5 }, { content: null }])
			assertProblem(await ada.reply(id, body), 400);
		assertProblem(await ada.reply(id, { content: "x".repeat(20_000) }), 413);
		const said = await ok(ada.reply(id, { content: "Hello, this is Ada." }), 201);
		assert.equal(said.role, "assistant");
		assert.equal(said.by, "human");
		assert.equal(said.seq, 3);
		const history = await stack.history(sessionId);
		assert.equal(history[2].by, "human");
		assert.equal(history[2].content, "Hello, this is Ada.");
		assertProblem(await ada.giveBack(id, { note: 7 }), 400, /note/);
		assert.equal((await ok(ada.giveBack(id, { note: "Be kind" }))).status, "returned");
		assert.equal((await ok(ada.giveBack(id))).note, "Be kind", "a repeated return is no conflict");
		assert.equal((await ok(ada.giveBack(id, { note: "Be strict" }))).note, "Be kind", "and is told what holds");
		assert.equal((await ok(ada.get(id))).note, "Be kind");
		assertProblem(await ada.take(id), 409, /it was returned/);
		assertProblem(await ada.reply(id, { content: "One more" }), 409, /it was returned/);
		assertProblem(await ada.close(id), 409, /it was returned/);
		assert.equal((await ok(ada.get(id))).note, "Be kind");
		assert.ok(!(await ok(ada.list(""))).some((e) => e._id === id));
	});

	test("an admin ends what another has taken, and closes what nobody has", async () => {
		const one = await escalated(), other = await escalated();
		await ok(ada.take(one.id));
		assert.equal((await ok(bob.close(one.id, { resolution: "Refunded" }))).resolution, "Refunded");
		assert.equal((await ok(bob.close(other.id))).status, "closed");
		assert.ok(!(await ok(ada.list(""))).some((e) => [one.id, other.id].includes(e._id)));
		upstream.next(reply("Here again."));
		assert.equal((await stack.say(one.sessionId, "another question")).response, "Here again.");
	});

	test("closed, taken or not, it keeps its conversation no longer than any", async () => {
		const redis = await stack.redis();
		const kept = async (id) => {
			const c = await redis.call("HGET", `e:{0}:${id}`, "c");
			return Promise.all(["", ":log", ":seen"].map((part) => redis.call("TTL", `c:{0}:${c}${part}`)));
		};
		for (const taken of [true, false]) {
			const { id } = await escalated();
			assert.ok((await kept(id)).every((s) => s > 86_400), "while it is open");
			if (taken)
				await ok(ada.take(id));
			await ok(bob.close(id));
			const left = await kept(id);
			assert.ok(left.every((s) => s > 0 && s <= 1800), left.join());
		}
	});

	test("taken, its record lives as long as its conversation, in which the customer goes on", async () => {
		const redis = await stack.redis();
		const { sessionId, id } = await escalated();
		await ok(ada.take(id));
		const client = await stack.client();
		for (const lives of [() => stack.say(sessionId, "are you there"), () => client.ask("join-chat", { userId: "visitor-1", sessionId })]) {
			await redis.call("PEXPIRE", `e:{0}:${id}`, "60000");
			await lives();
			assert.ok(await redis.call("PTTL", `e:{0}:${id}`) > 86_400_000);
		}
	});

	test("its record lives as long as its conversation also where ESCALATION_KEEP is the shorter time", async (t) => {
		const short = await startStack({ upstream, env: { JWT_SECRET: SECRET, ESCALATION_KEEP: "60000" } });
		t.after(() => short.stop());
		const sessionId = await short.session(), redis = await short.redis();
		const { escalation } = await short.say(sessionId, "I want to talk to a person please");
		const lives = async () => {
			const c = await redis.call("HGET", `e:{0}:${escalation.id}`, "c");
			const [record, conversation] = await Promise.all([`e:{0}:${escalation.id}`, `c:{0}:${c}`].map((key) => redis.call("PTTL", key)));
			assert.ok(conversation > 60_000 && record > conversation - 5000, `${record} of ${conversation} ms`);
		};
		await lives();
		for (const [route, body] of [["take"], ["reply", { content: "Hello" }]]) {
			const res = await short.call("POST", `/api/escalations/${escalation.id}/${route}`, { body, headers: ada.headers });
			assert.ok(res.status < 300, res.text);
			await lives();
		}
		await short.say(sessionId, "are you there");
		await lives();
	});

	test("a reply that is repeated with its Idempotency-Key leaves no more names", async () => {
		const redis = await stack.redis();
		const { id } = await escalated();
		await ok(ada.take(id));
		const c = await redis.call("HGET", `e:{0}:${id}`, "c");
		const send = (key) => stack.call("POST", `/api/escalations/${id}/reply`, { body: { content: "Hello" }, headers: { ...ada.headers, "idempotency-key": key } });
		const first = await ok(send("one"), 201), before = await redis.call("HLEN", `c:{0}:${c}:seen`);
		for (let i = 0; i < 5; i++)
			assert.equal((await ok(send("one"), 201))._id, first._id);
		assert.equal(await redis.call("HLEN", `c:{0}:${c}:seen`), before);
	});

	test("who of another account has taken one is for administrators to know", async () => {
		const dora = await Person.join(stack);
		upstream.otherwise = reply("One moment.");
		const { _id } = await dora.conversation();
		await dora.say(_id, "Let me talk to a person");
		const [open] = (await dora.ok("GET", "/api/escalations")).filter((e) => e.conversationId === _id);
		await ok(ada.take(open._id));
		const [listed] = (await dora.ok("GET", "/api/escalations?status=taken")).filter((e) => e._id === open._id);
		for (const seen of [listed, await dora.ok("GET", `/api/escalations/${open._id}`)])
			assert.equal(seen.takenBy, "an administrator");
		for (const what of ["take", "reply"])
			assertProblem(await dora.post(`/api/escalations/${open._id}/${what}`, { content: "x" }), 409, /^an administrator has taken/);
		assert.equal((await ok(bob.get(open._id))).takenBy, "ada");
		assert.equal((await dora.ok("POST", `/api/escalations/${open._id}/close`)).takenBy, "an administrator");
	});

	test("one that is closed while an answer is written that needs a person is opened again", async () => {
		const { sessionId, id } = await escalated();
		upstream.next(reply("Let me see.", { delay: 600 }));
		const answer = stack.say(sessionId, "my manager said no");
		await upstream.arrived(1);
		await ok(bob.close(id));
		const { escalation, needsEscalation } = await answer;
		assert.equal(needsEscalation, true);
		const open = await ok(ada.get(escalation.id));
		assert.equal(open.status, "open");
		assert.equal(open.originalMessage, "my manager said no");
		assert.ok((await ok(ada.list("?status=open"))).some((e) => e._id === escalation.id));
		await ok(ada.take(escalation.id));
		await ok(ada.close(escalation.id));
	});

	test("a reply is stored once under its clientMessageId", async () => {
		const { sessionId, id } = await escalated();
		await ok(ada.take(id));
		const clientMessageId = unique();
		const [a, b] = await Promise.all([1, 2].map(() => ok(ada.reply(id, { content: "Once", clientMessageId }), 201)));
		assert.equal(a._id, b._id);
		assert.equal(a.seq, b.seq);
		assertProblem(await ada.reply(id, { content: "Other", clientMessageId }), 422);
		const send = (content, key) => stack.call("POST", `/api/escalations/${id}/reply`, { body: { content },
			headers: { ...ada.headers, "idempotency-key": key } });
		const key = unique();
		const [c, d] = await Promise.all([1, 2].map(() => ok(send("Once more", key), 201)));
		assert.equal(c._id, d._id);
		assertProblem(await send("Other", key), 422);
		assert.notEqual((await ok(send("Once more", unique()), 201))._id, c._id);
		assert.equal((await stack.history(sessionId)).filter((m) => m.by === "human").length, 3);
	});

	test("what a reply is named by counts in its escalation, and is nothing of the customer's", async () => {
		const { sessionId, id } = await escalated();
		const clientMessageId = "1";
		const replies = [];
		for (const [one, e] of [[ada, id], [bob, null]]) {
			const now = e ?? (await stack.say(sessionId, "a person again please")).escalation.id;
			await ok(one.take(now));
			replies.push(await ok(one.reply(now, { content: "Hello", clientMessageId }), 201));
			await ok(one.close(now));
		}
		assert.notEqual(replies[0].seq, replies[1].seq);
		const theirs = (await stack.history(sessionId)).filter((m) => m.by === "human");
		assert.deepEqual(theirs.map((m) => [m.content, m.provider, "clientMessageId" in m]), [["Hello", "human", false], ["Hello", "human", false]]);
	});

	test("a reply with an Idempotency-Key and a clientMessageId is one by either", async () => {
		const { sessionId, id } = await escalated();
		await ok(ada.take(id));
		const key = unique("key");
		const send = (content, clientMessageId, idempotencyKey = key) => stack.call("POST", `/api/escalations/${id}/reply`,
			{ body: { content, clientMessageId }, headers: { ...ada.headers, ...(idempotencyKey && { "idempotency-key": idempotencyKey }) } });
		const first = await ok(send("Here I am", undefined), 201);
		assert.equal((await ok(send("Here I am", "c6"), 201))._id, first._id);
		assert.equal((await ok(send("Here I am", "c6", undefined), 201))._id, first._id, "the other name is known since");
		assertProblem(await send("Something else", "c7"), 422);
		assertProblem(await send("Something else", "c6", unique("key")), 422);
		assert.equal((await stack.history(sessionId)).filter((m) => m.content === "Here I am").length, 1);
	});

	test("of many who take it at once one wins", async () => {
		const { id } = await escalated();
		const people = Array.from({ length: 8 }, (_, i) => desk(`person-${i}`));
		const all = await Promise.all(people.map((p) => p.take(id)));
		const winners = all.filter((r) => r.status === 200);
		assert.equal(winners.length, 1);
		for (const r of all.filter((x) => x.status !== 200))
			assertProblem(r, 409, `${winners[0].json.takenBy} has taken this escalation`);
	});

	test("without a good token there is a 401 that says what to do", async () => {
		const { id } = await escalated();
		const now = Math.floor(Date.now() / 1000);
		const bad = [
			undefined, "Basic YTpi", "Bearer ", "Bearer nonsense", `Bearer ${token({}, "another secret, also longer than 32 bytes")}`,
			`Bearer ${token({ exp: now - 1 })}`, `Bearer ${token({ exp: String(now + 600) })}`, `Bearer ${token({ iss: "x" })}`,
			`Bearer ${token({ aud: "x" })}`, `Bearer ${token({ userId: 7 })}`, `Bearer ${token({}, SECRET, { alg: "none" })}`,
		];
		for (const authorization of bad)
			for (const [method, path] of [["GET", ""], ["GET", `/${id}`], ["POST", `/${id}/take`], ["POST", `/${id}/reply`],
				["POST", `/${id}/return`], ["POST", `/${id}/close`]]) {
				const res = await stack.call(method, `/api/escalations${path}`,
					{ headers: authorization ? { authorization } : {}, body: path.endsWith("reply") ? { content: "x" } : undefined });
				assertProblem(res, 401, /helpline token/, `${method} ${path} ${authorization}`);
				assert.equal(res.headers["www-authenticate"], "Bearer");
			}
		assert.equal((await ok(ada.get(id))).status, "open");
	});

	test("unknown ids, and everybody's for a plain user, are not there", async () => {
		const { id } = await escalated();
		const user = desk("carl", { role: "user" });
		assert.deepEqual(await ok(user.list()), []);
		for (const [who, what] of [[ada, "AAAAAAAAAAAAAAAAAAAAAA"], [ada, "x"], [ada, "..%2f"], [user, id]])
			for (const call of ["get", "take", "giveBack", "close"])
				assertProblem(await who[call](what), 404);
		assertProblem(await ada.reply("AAAAAAAAAAAAAAAAAAAAAA", { content: "x" }), 404);
		assertProblem(await stack.call("PUT", `/api/escalations/${id}`, { headers: ada.headers }), 405);
		assertProblem(await stack.call("GET", `/api/escalations/${id}/else`, { headers: ada.headers }), 404);
	});

	test("a page of a listed origin may call, after its preflight", async () => {
		const origin = "https://desk.example";
		const preflight = await stack.call("OPTIONS", "/api/escalations", { headers: { origin,
			"access-control-request-method": "GET", "access-control-request-headers": "authorization,content-type" } });
		assert.equal(preflight.status, 204);
		assert.equal(preflight.headers["access-control-allow-origin"], origin);
		assert.match(preflight.headers["access-control-allow-headers"], /authorization/);
		const res = await stack.get("/api/escalations", { origin, ...ada.headers });
		assert.equal(res.headers["access-control-allow-origin"], origin);
		assertProblem(await stack.get("/api/escalations", { origin: "https://elsewhere.example", ...ada.headers }), 403);
	});

	test("what has expired is trimmed from the list", async () => {
		const redis = await stack.redis();
		const { id } = await escalated();
		const gone = Array.from({ length: 700 }, (_, i) => ["1", String(i).padStart(22, "A")]).flat();
		await redis.call("ZADD", "open:{0}", ...gone);
		assert.ok((await ok(ada.list())).some((e) => e._id === id), "who waits is seen at once, however many are gone");
		assert.equal(await redis.call("ZCOUNT", "open:{0}", "1", "1"), 0);
	});

	test("./run token prints a token that is good here, and says what is wrong with a request for one", async () => {
		const env = { JWT_SECRET: SECRET };
		const out = await runScript(["token", "--user", "dora", "--expires", "10m", "--state-dir", stack.dir], { env });
		assert.equal(out.status, 0, out.stderr);
		assert.match(out.stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
		const headers = { authorization: `Bearer ${out.stdout.trim()}` };
		const { id } = await escalated();
		assert.equal((await ok(stack.call("POST", `/api/escalations/${id}/take`, { headers }))).takenBy, "dora");
		const claims = JSON.parse(Buffer.from(out.stdout.split(".")[1], "base64url"));
		assert.equal(claims.role, "admin");
		assert.equal(claims.exp - claims.iat, 600);
		for (const args of [[], ["--user", "x", "--expires", "soon"], ["--user", "x", "--role", "king"], ["--user", " "]])
			assert.notEqual((await runScript(["token", ...args], { env })).status, 0, args.join(" "));
		const own = await runScript(["token", "--user", "eve", "--role", "user", "--state-dir", stack.dir]);
		assert.equal(own.status, 0, own.stderr);
		assertProblem(await stack.get("/api/escalations", { authorization: `Bearer ${own.stdout.trim()}` }), 401);
	});
});

describe("the assistant", () => {
	test("is silent while a person has it, and knows afterwards what was said and noted", async () => {
		const { sessionId, id } = await escalated();
		await ok(ada.take(id));
		const asked = upstream.requests.length;
		const said = await stack.say(sessionId, "Are you there?");
		assert.match(said.response, /A person from our team has taken over/);
		assert.equal(said.needsEscalation, true);
		assert.equal(said.provider, "helpline");
		assert.equal(said.escalation.id, id);
		assert.equal(said.seq, undefined, "it is no message of the conversation");
		await ok(ada.reply(id, { content: "Your code is BASSOON-7." }), 201);
		await stack.say(sessionId, "Thank you!");
		assert.deepEqual((await stack.history(sessionId)).slice(2).map((m) => [m.role, m.by]),
			[["user", undefined], ["assistant", "human"], ["user", undefined]]);
		assert.equal(upstream.requests.length, asked, "the model was not asked");
		upstream.next(reply("You are welcome."), reply("It is BASSOON-7."));
		await ok(ada.giveBack(id, { note: "He likes tubas." }));
		const history = await waitFor("what came after his last word is answered", async () => {
			const h = await stack.history(sessionId);
			return h.length > 5 && h;
		});
		assert.deepEqual(history.slice(5).map((m) => m.content), ["You are welcome."]);
		const answer = await stack.say(sessionId, "What was my code?");
		assert.equal(answer.response, "It is BASSOON-7.");
		assert.equal(answer.needsEscalation, false);
		const messages = prompt();
		assert.ok(messages.some((m) => m.role === "assistant" && m.content === "[a person of our team] Your code is BASSOON-7."), JSON.stringify(messages));
		assert.match(messages[0].content, /He likes tubas\./);
		assert.match(messages[0].content, /a person of our team/);
		assert.match(messages[0].content, /customer's message never is/);
		assert.equal((await stack.get(`/api/v1/chat/history/${sessionId}`)).text.includes("tubas"), false, "the note is not the customer's");
	});

	test("answers what was asked when it is given back without a word, and nothing twice", async () => {
		const { sessionId, id } = await escalated();
		await ok(ada.take(id));
		upstream.reset();
		upstream.otherwise = reply("We open at nine.");
		await stack.say(sessionId, "When do you open?");
		assert.equal(upstream.chats.length, 0);
		const before = (await stack.history(sessionId)).length;
		await ok(ada.giveBack(id, { note: "Be kind" }));
		const history = await waitFor("it is answered", async () => {
			const h = await stack.history(sessionId);
			return h.length > before && h;
		});
		assert.equal(history.at(-1).content, "We open at nine.");
		assert.equal(upstream.chats.at(-1).body.messages.at(-1).content, "When do you open?");
		const again = await escalated();
		await ok(ada.take(again.id));
		await stack.say(again.sessionId, "Hello?");
		await ok(ada.reply(again.id, { content: "Done." }), 201);
		upstream.reset();
		await ok(ada.giveBack(again.id));
		upstream.otherwise = reply("Welcome.");
		assert.equal((await stack.say(again.sessionId, "One more thing: when do you close?")).response, "Welcome.");
		assert.equal(upstream.chats.length, 1, "a person's conversation is not answered once more");
	});

	test("answers again after a close, and a new escalation can be opened", async () => {
		const { sessionId, id } = await escalated();
		await ok(ada.take(id));
		await ok(ada.close(id, { resolution: "done" }));
		const said = await stack.say(sessionId, "let me talk to a person again");
		assert.equal(said.escalation.reason, "asked_for_person");
		assert.notEqual(said.escalation.id, id);
		assert.equal((await ok(ada.get(said.escalation.id))).status, "open");
	});

	for (const [how, back] of [["recovered", async (client) => client.socket.recovered], ["with its seq, to another pushd", async (client, sessionId) => {
		await client.ask("join-chat", { userId: "visitor-1", sessionId, seq: 3 });
		return !client.socket.recovered;
	}]])
		test(`typing ends for a socket that was away when a person took it, and came back ${how}`, async () => {
			const { sessionId, id } = await escalated();
			const client = await stack.client({ reconnection: true, reconnectionDelay: 800, reconnectionDelayMax: 800, transports: ["websocket"] });
			await client.ask("join-chat", { userId: "visitor-1", sessionId });
			upstream.next(reply("Never shown.", { delay: 60_000 }));
			await client.ask("send-message", { sessionId, userId: "visitor-1", message: "Are you there?" });
			await client.when("typing", (on) => on === true);
			if (how !== "recovered")
				client.socket._pid = "x".repeat(22);
			client.socket.io.engine.transport.ws.terminate();
			await client.when("disconnect");
			await ok(ada.take(id));
			await waitFor("connected again", () => client.socket.connected && client.events.filter((e) => e.name === "connect").length === 2);
			assert.equal(await back(client, sessionId), true);
			await waitFor("typing ends", () => client.all("typing").at(-1) === false);
			if (how === "recovered")
				await client.when("hand-over", (o) => o.owner === "human");
			client.close();
		});

	test("a repeated message gets the person's reply for an answer", async () => {
		const { sessionId, id } = await escalated();
		await ok(ada.take(id));
		const clientMessageId = unique();
		assert.match((await stack.say(sessionId, "When?", { clientMessageId })).response, /taken over/);
		await ok(ada.reply(id, { content: "Tomorrow." }), 201);
		const again = await stack.say(sessionId, "When?", { clientMessageId });
		assert.equal(again.response, "Tomorrow.");
		assert.equal(again.by, "human");
		assert.deepEqual([again.provider, again.escalation, again.sources], ["human", null, []]);
		await ok(ada.giveBack(id));
		assert.equal((await stack.say(sessionId, "When?", { clientMessageId })).response, "Tomorrow.");
	});
});

describe("a take during an answer", () => {
	test("who waits is told at once: REST, streamed, sent twice, and what waits behind it", async () => {
		const { sessionId, id } = await escalated();
		upstream.otherwise = reply("much too late", { firstDelay: 30_000 });
		const started = Date.now();
		const clientMessageId = unique();
		const first = stack.say(sessionId, "one", { clientMessageId });
		await waitFor("the model is asked", () => upstream.requests.some((r) => r.body.messages.at(-1).content === "one"));
		const again = stack.say(sessionId, "one", { clientMessageId });
		const stream = await stack.stream({ sessionId, message: "two", userId: "visitor-1" });
		await ok(ada.take(id));
		const all = within(Promise.all([first, again]), 20_000, "the answer to who waits");
		for (const said of await all)
			assert.match(said.response, /taken over/);
		const events = [];
		for await (const event of stream.events)
			events.push(event);
		assert.match(events.at(-1).json.response, /taken over/);
		assert.equal(events.at(-1).event, "message");
		assert.ok(Date.now() - started < 25_000);
	});

	test("a stream that has begun ends with the truth, as another attempt", async () => {
		const { sessionId, id } = await escalated();
		upstream.next(reply("one two three four five six seven eight nine ten", { tokenDelay: 300 }));
		const stream = await stack.stream({ sessionId, message: "count", userId: "visitor-1" });
		const events = [];
		for await (const event of stream.events) {
			if (events.length === 0)
				await ok(ada.take(id));
			events.push(event);
		}
		const last = events.at(-1);
		assert.match(last.json.response, /taken over/);
		const attempt = events.at(-2).json.attempt;
		assert.ok(attempt > events[0].json.attempt);
		assert.equal(events.filter((e) => e.json.attempt === attempt).map((e) => e.json.text).join(""), last.json.response);
		assert.ok(!(await stack.history(sessionId)).some((m) => m.content.startsWith("one")));
	});

	// Stops the program, takes away what it listens on, does it, and lets the program go on.
	async function unheard(program, what) {
		const redis = await stack.redis(), { pid } = await stack.program(program);
		process.kill(pid, "SIGSTOP");
		try {
			await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
			return await what();
		} finally {
			process.kill(pid, "SIGCONT");
		}
	}

	test("drops the answer also in a program that did not hear of it", async () => {
		const { sessionId, id } = await escalated();
		upstream.next(reply("one two three four five six ".repeat(20), { tokenDelay: 200 }));
		const stream = await stack.stream({ sessionId, message: "count", userId: "visitor-1" });
		const events = [];
		for await (const event of stream.events) {
			if (events.length === 0)
				await unheard("chat", () => ok(ada.take(id)));
			events.push(event);
		}
		assert.match(events.at(-1).json.response, /taken over/);
		await waitFor("the model is not listened to any more", () => upstream.chats.at(-1).aborted);
	});

	test("a program that was paused hears of it before it tells a caller what was written meanwhile", async () => {
		for (let i = 0; i < 5; i++) {
			const { sessionId, id } = await escalated();
			upstream.next(reply("one two three four five six ".repeat(20), { tokenDelay: 20 }));
			const stream = await stack.stream({ sessionId, message: "count", userId: "visitor-1" });
			const { pid } = await stack.program("chat"), asked = upstream.chats.at(-1), events = [];
			let before;
			for await (const event of stream.events) {
				events.push(event);
				if (events.length !== 4)
					continue;
				process.kill(pid, "SIGSTOP");
				try {
					const from = asked.written;
					await ok(ada.take(id));
					await waitFor("more is written", () => asked.written > from + 10);
					before = asked.written - 10;
				} finally {
					process.kill(pid, "SIGCONT");
				}
			}
			const told = events.filter((e) => e.event === "delta" && e.json.attempt === events[0].json.attempt).map((e) => e.json.text).join("");
			assert.ok(told.split(" ").length <= before, `${told.split(" ").length} words were told, ${before} had been written at the take`);
			assert.match(events.at(-1).json.response, /taken over/);
		}
	});

	test("that the store lost when another server took over binds nobody", async () => {
		const redis = await stack.redis(), keys = async () => (await redis.call("KEYS", "c:{0}:*")).map(String);
		const before = await keys(), { sessionId, id } = await escalated();
		const [key] = (await keys()).filter((k) => !before.includes(k) && /^c:\{0\}:[^:]+$/.test(k));
		const client = await stack.client();
		await client.ask("join-chat", { userId: "visitor-1", sessionId });
		await client.when("chat-joined");
		await ok(ada.take(id));
		await client.when("hand-over", (h) => h.owner === "human");
		await redis.call("HDEL", key, "ow", "ep", "esc");
		const heard = client.all("typing").length, engines = async () => Number((await redis.call("PUBSUB", "NUMSUB", "handover:{0}"))[1]), all = await engines();
		await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
		await waitFor("pushd has asked whose it is", () => client.all("typing").length > heard);
		await waitFor("the engines listen again", async () => await engines() === all);
		upstream.next(reply("Here I am again, as if nothing had been.", { tokenDelay: 50 }));
		upstream.otherwise = reply("Here I am again, as if nothing had been.", { tokenDelay: 50 });
		assert.match((await within(stack.say(sessionId, "and now?"), 20_000, "an answer")).response, /Here I am again/);
		await client.when("message-received", (m) => /Here I am again/.test(m.message));
		assert.ok(client.all("message-delta").length > 0, "it is told as it is written");
	});

	test("lets nothing of the answer through that was held back while pushd could not ask what it had missed", async () => {
		const { sessionId, id } = await escalated();
		const client = await stack.client();
		await client.ask("join-chat", { userId: "visitor-1", sessionId });
		upstream.next(reply("one two three four five six ".repeat(20), { tokenDelay: 40 }));
		const answer = stack.message(sessionId, "count");
		await client.when("message-delta");
		const redis = await stack.redis();
		await unheard("events", async () => {
			await waitFor("pushd listens again", async () => (await redis.call("PUBSUB", "CHANNELS", "room:*"))
				.some((name) => String(name).endsWith(client.socket._lastOffset.split(".")[1])));
			const asked = upstream.chats.at(-1), from = asked.written;
			await waitFor("more is written", () => asked.written > from + 10);
			await ok(ada.take(id));
		});
		const { length } = client.all("message-delta");
		await client.when("hand-over", (h) => h.owner === "human");
		assert.match((await answer).json.response, /taken over/);
		const over = client.events.findIndex((e) => e.name === "hand-over" && e.data.owner === "human");
		assert.deepEqual(client.events.slice(over).filter((e) => /message-(delta|received)/.test(e.name)), [], `${length} before`);
	});

	test("is told to a socket that stayed though its pushd did not hear of it, and typing ends", async () => {
		const { sessionId, id } = await escalated();
		const client = await stack.client();
		await client.ask("join-chat", { userId: "visitor-1", sessionId });
		upstream.next(reply("never shown", { firstDelay: 30_000 }));
		assert.equal((await client.ask("send-message", { sessionId, message: "are you there", userId: "visitor-1" })).ok, true);
		await client.when("typing", (on) => on === true);
		await unheard("pushd", () => ok(ada.take(id)));
		await client.when("hand-over", (e) => e.owner === "human");
		await waitFor("typing ends", () => client.all("typing").at(-1) === false);
		await unheard("pushd", () => ok(ada.giveBack(id)));
		await client.when("hand-over", (e) => e.owner === "ai");
	});

	test("and closed without a word: nobody is typing, for who comes back and for who asks", async () => {
		const { sessionId, id } = await escalated();
		const client = await stack.client({ transports: ["websocket"] });
		await client.ask("join-chat", { userId: "visitor-1", sessionId });
		upstream.next(reply("never shown", { firstDelay: 30_000 }));
		assert.equal((await client.ask("send-message", { sessionId, message: "are you there", userId: "visitor-1" })).ok, true);
		await client.when("typing", (on) => on === true);
		client.socket.io.engine.transport.ws.terminate();
		await ok(ada.take(id));
		await ok(ada.close(id));
		client.socket.connect();
		await client.when("hand-over", (e) => e.owner === "ai");
		assert.equal(client.socket.recovered, true);
		await waitFor("typing ends", () => client.all("typing").at(-1) === false);
		const other = await stack.client();
		await other.ask("join-chat", { userId: "visitor-1", sessionId, seq: 0 });
		await other.when("chat-joined");
		await waitFor("nobody is typing", () => other.all("typing").at(-1) === false);
	});

	test(`${ROUNDS} times, around the moment of the answer: nothing of the model comes after it`, async () => {
		let silenced = 0;
		const round = async (n) => {
			const userId = `visitor-${n}`;
			const client = await stack.client({ transports: ["websocket"] });
			const { sessionId, id } = await escalated("a person please", userId);
			await client.ask("join-chat", { userId, sessionId });
			assert.equal((await client.ask("send-message", { sessionId, message: `question ${n}`, userId })).ok, true);
			await pause(20 + Math.random() * 160);
			const taken = await ok(ada.take(id));
			const at = client.events.length;
			assert.equal(taken.status, "taken");
			await client.when("hand-over", (e) => e.owner === "human");
			const reply1 = await ok(ada.reply(id, { content: `Person ${n}` }), 201);
			await client.when("message-received", (m) => m.by === "human");
			await pause(200);
			const handed = client.events.findIndex((e) => e.name === "hand-over");
			const late = client.events.slice(handed).filter((e) => e.name === "message-delta" || (e.name === "message-received" && e.data.isBot));
			assert.deepEqual(late, [], `after the hand-over of round ${n} (${at} before)`);
			const history = await stack.history(sessionId);
			const after = history.filter((m) => m.role === "assistant" && m.seq >= reply1.seq);
			assert.deepEqual(after.map((m) => m.by), ["human"]);
			const answered = history.some((m) => m.role === "assistant" && !m.by && m.seq > 3);
			silenced += answered ? 0 : 1;
			const shown = client.all("message-received").filter((m) => m.seq > 3).map((m) => m.seq);
			assert.deepEqual(shown, history.filter((m) => m.role === "assistant" && m.seq > 3).map((m) => m.seq));
			client.close();
		};
		upstream.otherwise = () => reply("a b c d e f", { delay: Math.random() * 40, tokenDelay: Math.random() * 25 });
		for (let n = 0; n < ROUNDS; n += 10)
			await Promise.all(Array.from({ length: Math.min(10, ROUNDS - n) }, (_, i) => round(n + i)));
		assert.ok(silenced > 0, "some answers were under way");
	});
});

describe("sockets", () => {
	test("staff hears of escalations and of what is written in them; customers do not", async () => {
		const staff = await stack.client({ auth: { token: token({}) } });
		const plain = await stack.client({ auth: { token: token({ role: "user" }) } });
		const stranger = await stack.client();
		// Joining is asynchronous: the room is live when the first escalation is heard of.
		const { sessionId, id } = await waitFor("staff hears of an escalation", async () => {
			const made = await escalated();
			await pause(50);
			return staff.all("escalation-needed").some((e) => e._id === made.id) && made;
		});
		const needed = staff.all("escalation-needed").find((e) => e._id === id);
		for (const member of ["sessionId", "userId", "message", "timestamp", "originalMessage", "reason"])
			assert.ok(needed[member], member);
		await ok(ada.take(id));
		await stack.say(sessionId, "for your eyes");
		const heard = await staff.when("conversation-updated", (e) => e.message.content === "for your eyes");
		assert.equal(heard.conversationId, sessionId);
		assert.equal(heard.seq, 3);
		assert.equal(heard.message.role, "user");
		await ok(ada.reply(id, { content: "seen" }), 201);
		await staff.when("conversation-updated", (e) => e.message.content === "seen" && e.message.by === "human");
		for (const client of [plain, stranger])
			assert.deepEqual(client.events.filter((e) => e.name !== "connect"), []);
		const quiet = await stack.session();
		await stack.say(quiet, "How long does delivery take?");
		await ok(ada.reply(id, { content: "and on" }), 201);
		await staff.when("conversation-updated", (e) => e.message.content === "and on");
		assert.ok(!staff.all("conversation-updated").some((e) => e.conversationId === quiet), "others are not staff's business");
	});

	test("a token that is sent must be good", async () => {
		for (const bad of ["nonsense", token({}, "another secret, also longer than 32 bytes"), 7]) {
			const client = await stack.client({ connect: false, auth: { token: bad } });
			const error = await client.when("connect_error");
			assert.match(error.message, /token/);
			assert.equal(error.data.code, "unauthorized");
		}
		for (const fine of ["", null, undefined])
			await stack.client({ auth: { token: fine } });
	});

	test("who joins after a take is spared what the assistant's turn still says", async () => {
		const { sessionId, id } = await escalated();
		await ok(ada.take(id));
		const client = await stack.client();
		await client.ask("join-chat", { userId: "visitor-1", sessionId });
		await client.when("chat-joined");
		const redis = await stack.redis();
		for (const room of (await redis.call("PUBSUB", "CHANNELS", "room:*")).map(String).filter((name) => name !== "room:staff"))
			await redis.call("PUBLISH", room, '0 0 -\n["message-delta",{"id":"x","attempt":1,"index":0,"text":"late"}]');
		await ok(ada.reply(id, { content: "Hello" }), 201);
		await client.when("message-received", (m) => m.by === "human");
		assert.deepEqual(client.all("message-delta"), []);
	});

	test("the customer's socket gets the reply as from a person, and who joins later is told whose it is", async () => {
		const { sessionId, id } = await escalated();
		const client = await stack.client();
		await client.ask("join-chat", { userId: "visitor-1", sessionId });
		assert.equal((await client.when("chat-joined")).owner, "ai");
		await ok(ada.take(id));
		await client.when("hand-over", (e) => e.owner === "human");
		await ok(ada.reply(id, { content: "Hello from a person" }), 201);
		const got = await client.when("message-received");
		assert.equal(got.isBot, false);
		assert.equal(got.message, "Hello from a person");
		assert.equal(got.seq, 3);
		assert.match(got.timestamp, ISO);
		assert.equal(typeof got.confidence, "number");
		assert.equal(typeof got.needsEscalation, "boolean");
		const later = await stack.client();
		await later.ask("join-chat", { userId: "visitor-1", sessionId, seq: 0 });
		const joined = await later.when("chat-joined");
		assert.equal(joined.owner, "human");
		assert.equal(joined.history[2].by, "human");
		await ok(ada.giveBack(id));
		await client.when("hand-over", (e) => e.owner === "ai");
	});
});

test("nothing of it is readable in Redis or in the logs", async () => {
	const { id } = await escalated("a person please, my name is Wilhelmina");
	const dora = desk("dorothea.secret@example.test");
	await ok(dora.take(id));
	await ok(dora.reply(id, { content: "Hello Wilhelmina" }), 201);
	await ok(dora.giveBack(id, { note: "calls herself Wilhelmina" }));
	const redis = await stack.redis();
	for (const key of [...await redis.call("KEYS", "e:*"), ...await redis.call("KEYS", "c:*")].map(String)) {
		const type = String(await redis.call("TYPE", key));
		const all = await redis.call(...(type === "hash" ? ["HGETALL", key] : ["LRANGE", key, 0, -1]));
		assert.doesNotMatch(Buffer.concat(all).toString("latin1"), /Wilhelmina|dorothea/, key);
	}
	const log = stack.log();
	assert.doesNotMatch(log, /Wilhelmina|dorothea/);
	assert.ok(!log.includes(dora.headers.authorization.slice(7)));
	assert.ok(!log.includes(id));
});
