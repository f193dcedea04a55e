// A socket that comes back gets everything once and in order: by itself within one pushd's life (Socket.IO's connection
// state recovery), and by the seq that it names wherever and whenever it comes back.

import { test, describe, before, after, beforeEach } from "node:test";
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, waitFor, request, unique, pause } from "./harness.mjs";

const { Emitter } = createRequire(import.meta.url)("@socket.io/redis-emitter");

const RECONNECTS = { reconnection: true, reconnectionDelay: 30, reconnectionDelayMax: 200, transports: ["websocket"] };

let upstream, stack;

before(async () => {
	upstream = await startUpstream();
	stack = await startStack({ upstream, env: { PUSHD_COUNT: "2" } });
});
after(async () => {
	await stack?.stop();
	await upstream?.close();
});
beforeEach(() => {
	upstream.reset();
	upstream.otherwise = reply("Here I am.");
});

const instance = (client) => client.socket.io.engine.id[0];
// As when the network goes: the connections are gone, and nobody has said goodbye.
function cut(client) {
	const { engine } = client.socket.io;
	if (engine.transport.name === "websocket")
		return engine.transport.ws.terminate();
	if (!engine.upgrading)
		return engine.close();		// an Engine.IO close, not Socket.IO's goodbye
	/*
	 * close() would say that it is disconnected, and wait for the upgrade: what comes meanwhile is kept for later without the
	 * offset that it carries, and then the client doubles what the server rightly sends once more.
	 */
	engine.once("upgradeError", () => engine.close());
	return engine.once("upgrade", () => cut(client));
}
const connections = (client) => client.events.filter((e) => e.name === "connect").length;
const seqs = (list) => list.map((m) => m.seq);
const bot = (client) => client.all("message-received");

// A client whose session is in the pushd with that number.
async function clientOn(number, options = {}) {
	for (let i = 0; i < 20; i++) {
		const client = await stack.client({ ...RECONNECTS, ...options });
		if (instance(client) === String(number))
			return client;
		client.close();
	}
	throw new Error(`none of 20 handshakes came to pushd ${number}`);
}

describe("two pushd behind nginx", () => {
	test("each session stays with the one that made it, by polling, upgrade and WebSocket", async () => {
		for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
			const seen = new Set();
			for (let i = 0; i < 6; i++) {
				const client = await stack.client({ transports });
				seen.add(instance(client));
				const id = await client.join();
				assert.equal((await client.ask("send-message", { sessionId: id, message: "hi", userId: "visitor-1" })).ok, true);
				await client.when("message-received", (m) => m.isBot);
				if (transports.length === 2)
					await waitFor("the upgrade", () => client.transport === "websocket");
				client.close();
			}
			assert.deepEqual([...seen].sort(), ["0", "1"], `${transports} came to both`);
		}
	});

	test("a sid of a pushd that does not exist is an unknown session", async () => {
		for (const sid of ["9".padEnd(23, "x"), "1".padEnd(23, "x"), "x", "-".padEnd(23, "1")]) {
			const res = await request(stack.url, "GET", `/socket.io/?EIO=4&transport=polling&sid=${sid}`);
			assert.equal(res.status, 400);
			assert.deepEqual(res.json, { code: 1, message: "Session ID unknown" });
		}
	});

	test("sockets of one session on different ones all get everything once", async () => {
		const clients = [await clientOn(0), await clientOn(1), await clientOn(1, { transports: ["polling"] })];
		const id = await clients[0].join();
		for (const c of clients.slice(1))
			await c.ask("join-chat", { userId: "visitor-1", sessionId: id });
		for (let i = 0; i < 5; i++)
			await stack.say(id, `message ${i}`);
		const wanted = seqs((await stack.history(id)).filter((m) => m.role === "assistant"));
		for (const c of clients) {
			await c.when("message-received", (m) => m.seq === wanted.at(-1));
			assert.deepEqual(seqs(bot(c)), wanted);
		}
	});
});

describe("connection state recovery", () => {
	test("a socket that was cut off is the same one again, and gets what it missed before it is connected", async () => {
		const client = await clientOn(0);
		const sessionId = await client.join();
		const { id: sid } = client.socket;
		const first = await stack.say(sessionId, "before");
		await client.when("message-received", (m) => m.seq === first.seq);
		client.socket.io.reconnectionDelay(400);
		cut(client);
		await client.when("disconnect");
		for (let i = 0; i < 4; i++)
			await stack.say(sessionId, `while away ${i}`);
		await waitFor("connected again", () => connections(client) === 2);
		if (instance(client) !== "0")
			return assert.equal(client.socket.recovered, false, "the other pushd does not know it");
		assert.equal(client.socket.recovered, true);
		assert.equal(client.socket.id, sid);
		const missed = client.events.findIndex((e) => e.name === "message-received" && e.data.seq === first.seq + 2);
		const again = client.events.findLastIndex((e) => e.name === "connect");
		assert.ok(missed >= 0 && missed < again, "what it missed comes first");
		const last = await stack.say(sessionId, "after");	// it is in the room without asking
		await client.when("message-received", (m) => m.seq === last.seq);
		const history = await stack.history(sessionId);
		assert.deepEqual(seqs(bot(client)), seqs(history.filter((m) => m.role === "assistant")));
		assert.deepEqual(seqs([...client.all("message-accepted"), ...bot(client)]).sort((a, b) => a - b), seqs(history));
		// the state too: it has joined, and an answer comes to it although nothing was asked
		assert.equal((await client.ask("send-message", { sessionId, message: "and I", userId: "visitor-1" })).ok, true);
		return undefined;
	});
});

test("who has missed more than a reader may lie behind is connected as new, and joins by seq", async (t) => {
	const own = await startStack({ upstream });		// which remembers for longer
	t.after(() => own.stop());
	const client = await own.client({ transports: ["websocket"] });
	const sessionId = await client.join();
	const first = await own.say(sessionId, "first");
	await client.when("message-received", (m) => m.seq === first.seq);
	const writer = await own.client();
	await writer.ask("join-chat", { userId: "visitor-1", sessionId });
	upstream.otherwise = reply("long ".repeat(2000));
	cut(client);
	for (let i = 0; i < 80; i++)
		assert.equal((await writer.ask("send-message", { sessionId, message: `${i} ${"x".repeat(15_000)}`, userId: "visitor-1" })).ok, true);
	client.socket.connect();
	await waitFor("connected again", () => connections(client) === 2 && client.socket.connected);
	assert.equal(client.socket.recovered, false);
	assert.equal((await client.ask("join-chat", { userId: "visitor-1", sessionId, seq: first.seq })).ok, true);
	const { history } = await client.when("chat-joined", (j) => j.history);
	assert.equal(history.filter((m) => m.role === "user").length, 80);
});

/*
 * socket.io-client sends what it kept while it was offline before its page hears of "connect" and asks for what it missed.
 * SOCKET_RECOVERY of 1 ms: nobody is remembered, as when another pushd gets the socket, but clients name their offset.
 */
describe("what was said while offline is sent before the page joins again", () => {
	const cases = [
		{ remembered: "0", transports: ["websocket"], joinsAfter: 0 },
		{ remembered: "1", transports: ["websocket"], joinsAfter: 0 },
		{ remembered: "1", transports: ["polling", "websocket"], joinsAfter: 0 },
		{ remembered: "1", transports: ["polling", "websocket"], joinsAfter: 300 },
		{ remembered: "1", transports: ["websocket"], joinsAfter: 1500 },
	];
	const stacks = {};
	before(async () => {
		for (const remembered of ["0", "1"])
			stacks[remembered] = await startStack({ upstream, env: { SOCKET_RECOVERY: remembered } });
	});
	after(() => Promise.all(Object.values(stacks).map((s) => s.stop())));

	// A page that counts what it sees by both ways; without joinsAfter it never joins again.
	async function page(own, { transports, joinsAfter, ...options }, names = (last) => last) {
		const client = await own.client({ ...RECONNECTS, transports, upgrade: transports.length > 1, ...options });
		const sessionId = await client.join(), told = [];
		let last = 0;
		const see = (m) => { told.push(m); last = Math.max(last, m.seq); };
		client.socket.on("message-received", see);
		client.socket.on("chat-joined", (j) => (j.history ?? []).forEach(see));
		await client.ask("send-message", { sessionId, userId: "visitor-1", message: "first" });
		await client.when("message-received");
		const join = () => client.socket.emit("join-chat", { userId: "visitor-1", sessionId, seq: names(last) });
		client.socket.on("connect", () => joinsAfter ? setTimeout(join, joinsAfter) : joinsAfter === 0 && join());
		return { client, sessionId, told };
	}

	for (const c of cases)
		test(`by ${c.transports.join(" and ")}, ${c.joinsAfter} ms later, remembered for ${c.remembered} ms`, async () => {
			const own = stacks[c.remembered];
			await Promise.all(Array.from({ length: 10 }, async () => {
				const { client, sessionId, told } = await page(own, c);
				cut(client);
				await client.when("disconnect");
				await own.say(sessionId, "from elsewhere");		// 3 and 4
				const acks = await Promise.all(["typed", "offline"].map((message, i) => client.socket.timeout(10000)
					.emitWithAck("send-message", { sessionId, userId: "visitor-1", message, clientMessageId: `c${i}` })));
				assert.ok(acks.every((ack) => ack.ok));
				const joined = await client.when("chat-joined", (j) => j.history);
				const last = await own.say(sessionId, "last");		// all before it is answered then
				await waitFor("the last answer", () => told.some((m) => m.seq === last.seq));
				const said = new Set(acks.map((ack) => ack.seq)), known = seqs(told);
				assert.deepEqual(known, [...new Set(known)].sort((a, b) => a - b), `in order and once: ${known}; the page joined from ${joined.seq}`);
				const missing = (await own.history(sessionId)).filter((m) => m.role === "assistant" && !known.includes(m.seq));
				assert.deepEqual(missing, [], `${known} with ${[...said]} of its own`);
			}));
		});

	test("a page that joins without a seq hears the answer once", async () => {
		const { client, sessionId, told } = await page(stacks["1"], cases[2], () => undefined);
		cut(client);
		await client.when("disconnect");
		const acks = await Promise.all(["typed", "offline"].map((message) => client.ask("send-message", { sessionId, userId: "visitor-1", message })));
		assert.ok(acks.every((ack) => ack.ok));
		const next = await client.ask("send-message", { sessionId, userId: "visitor-1", message: "online" });
		await waitFor("the last answer", () => told.some((m) => m.seq > next.seq));
		assert.deepEqual(seqs(told), seqs((await stacks["1"].history(sessionId)).filter((m) => m.role === "assistant")));
	});

	test("a page that never joins hears what it missed, and the answer", async () => {
		// It sends what is not acknowledged again, and as it gives no clientMessageId that would be another message.
		const { client, sessionId, told } = await page(stacks["1"], { transports: ["websocket"], retries: 3, ackTimeout: 500 });
		cut(client);
		await client.when("disconnect");
		await stacks["1"].say(sessionId, "from elsewhere");
		assert.equal((await client.ask("send-message", { sessionId, userId: "visitor-1", message: "offline" })).ok, true);
		await waitFor("the answer", () => told.some((m) => m.seq === 6));
		assert.deepEqual(seqs(told), [2, 4, 6]);
		assert.equal((await stacks["1"].history(sessionId)).length, 6);
	});

	test("who was here before it was loaded hears each answer once, though it sends before it is connected", async () => {
		await Promise.all(Array.from({ length: 10 }, async () => {
			const own = stacks["1"], sessionId = await own.session(), told = [];
			await own.say(sessionId, "first");
			await own.say(sessionId, "from elsewhere");
			const client = await own.client({ ...RECONNECTS, connect: false, autoConnect: false });
			for (const name of ["message-received", "chat-joined"])
				client.socket.on(name, (m) => told.push(...(m.history ?? [m])));
			client.socket.on("connect", () => client.socket.emit("join-chat", { userId: "visitor-1", sessionId, seq: 2 }));
			const sent = client.ask("send-message", { sessionId, userId: "visitor-1", message: "typed" });
			client.socket.connect();
			assert.equal((await sent).ok, true);
			const last = await own.say(sessionId, "last");
			await waitFor("the last answer", () => told.some((m) => m.seq === last.seq));
			const answers = seqs(told.filter((m) => m.role === "assistant" || m.isBot));
			assert.deepEqual(answers, seqs((await own.history(sessionId)).filter((m) => m.role === "assistant" && m.seq > 2)));
		}));
	});
});

// One pushd, so that each return is to the one that remembers.
describe("recovery by one pushd", () => {
	let one;
	before(async () => {
		one = await startStack({ upstream, env: { SOCKET_RECOVERY: "1500" } });
	});
	after(() => one?.stop());

	const comeBack = async (client, n) => waitFor("connected again", () => connections(client) === n && client.socket.connected);

	for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]])
		test(`many cuts by ${transports.join(" and ")} lose nothing and double nothing`, async () => {
			const client = await one.client({ ...RECONNECTS, transports, upgrade: transports.length > 1 });
			const sessionId = await client.join();
			const { id: sid } = client.socket;
			for (let i = 0; i < 8; i++) {
				const talk = [0, 1].map((k) => one.say(sessionId, `m ${i} ${k}`));
				cut(client);
				await Promise.all(talk);
				await comeBack(client, i + 2);
				assert.equal(client.socket.recovered, true, `return ${i}`);
				assert.equal(client.socket.id, sid);
			}
			const last = await one.say(sessionId, "last");
			await client.when("message-received", (m) => m.seq === last.seq);
			const history = await one.history(sessionId);
			const seen = client.events.filter((e) => ["message-received", "message-accepted"].includes(e.name)).map((e) => e.data.seq);
			assert.deepEqual(seen, seqs(history));
		});

	test("what it has said itself does not come back to it", async () => {
		const client = await one.client(RECONNECTS);
		const sessionId = await client.join();
		const before = await one.say(sessionId, "before");	// by another caller: it has an offset from then on
		await client.when("message-received", (m) => m.seq === before.seq);
		for (let i = 0; i < 3; i++) {
			upstream.next(reply(`answer ${i}`, { firstDelay: 600 }));
			const ack = await client.ask("send-message", { sessionId, message: `mine ${i}`, userId: "visitor-1" });
			cut(client);
			await comeBack(client, i + 2);
			assert.equal(client.socket.recovered, true);
			await client.when("message-received", (m) => m.seq === ack.seq + 1);
			assert.deepEqual(client.all("message-accepted").filter((m) => m.seq === ack.seq), []);
		}
	});

	test("typing ends for who comes back to the answer, by recovery or by asking again", async () => {
		const client = await one.client(RECONNECTS);
		const sessionId = await client.join();
		const typing = (on) => waitFor(`typing ${on}`, () => client.all("typing").at(-1) === on);
		upstream.next(reply("while away", { firstDelay: 500 }));
		assert.equal((await client.ask("send-message", { sessionId, message: "one", userId: "visitor-1" })).ok, true);
		await typing(true);
		client.socket.io.reconnectionDelay(1000);
		cut(client);
		await client.when("message-received", (m) => m.message === "while away");
		assert.equal(client.socket.recovered, true);
		await typing(false);
	});

	test("what led to an answer does not come behind it, when the subscription was lost for a moment", async () => {
		const client = await one.client(RECONNECTS);
		const sessionId = await client.join();
		await one.say(sessionId, "first");
		await client.when("message-received");
		const from = client.events.length, { pid } = await one.program("events");
		const redis = await one.redis();
		upstream.otherwise = reply("One two three four five.", { tokenDelay: 60 });
		process.kill(pid, "SIGSTOP");		// the replay waits for it
		await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
		await waitFor("pushd listens again", async () => (await redis.call("PUBSUB", "CHANNELS", "room:*")).length > 0);
		const said = await one.say(sessionId, "second");
		process.kill(pid, "SIGCONT");
		await client.when("message-received", (m) => m.seq === said.seq);
		await one.say(sessionId, "third");
		await client.when("message-received", (m) => m.seq === said.seq + 2);
		await waitFor("typing ends", () => client.all("typing").at(-1) === false);
		const over = new Set();
		for (const e of client.events.slice(from)) {
			if (e.name === "message-received")
				over.add(e.data.id);
			assert.ok(e.name !== "message-delta" || !over.has(e.data.id), "a delta behind its answer");
		}
	});

	test("what does not lead to an answer is told behind it all the same", async () => {
		const client = await one.client(RECONNECTS);
		const sessionId = await client.join();
		await one.say(sessionId, "first");
		await client.when("message-received");
		const { pid } = await one.program("events");
		const redis = await one.redis();
		process.kill(pid, "SIGSTOP");		// the replay waits for it
		await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
		const room = await waitFor("pushd listens again", async () =>
			(await redis.call("PUBSUB", "CHANNELS", "room:*")).map(String).find((name) => name.endsWith(client.socket._lastOffset.split(".")[1])));
		await redis.call("PUBLISH", room, '0 0 ~\n["message-delta",{"id":"x","attempt":1,"index":0,"text":"stray"}]');
		await redis.call("PUBLISH", room, '0 0 -\n["ai_audio",{"index":0}]');
		const said = await one.say(sessionId, "second");
		process.kill(pid, "SIGCONT");
		await client.when("message-received", (m) => m.seq === said.seq);
		await client.when("ai_audio");
		assert.deepEqual(client.all("message-delta").filter((d) => d.id === "x"), []);
	});

	test("a message that is sent again does not end the typing of the next one's answer", async () => {
		const client = await one.client();
		const sessionId = await client.join();
		const send = (clientMessageId) => client.ask("send-message", { sessionId, message: clientMessageId, userId: "visitor-1", clientMessageId });
		assert.equal((await send("c1")).ok, true);
		await client.when("message-received");
		await waitFor("typing ends", () => client.all("typing").at(-1) === false);
		upstream.next(reply("the second", { firstDelay: 1500 }));
		assert.equal((await send("c2")).ok, true);
		await waitFor("typing begins", () => client.all("typing").at(-1) === true);
		assert.equal((await send("c1")).seq, 1);
		await waitFor("the first answer again", () => bot(client).length === 2);
		await client.when("message-received", (m) => m.message === "the second");
		await waitFor("typing ends", () => client.all("typing").at(-1) === false);
		const from = client.events.findLastIndex((e) => e.name === "typing" && e.data === true);
		const names = client.events.slice(from).filter((e) => ["message-received", "typing"].includes(e.name)).map((e) => e.data.message ?? e.data);
		assert.deepEqual(names, [true, "Here I am.", "the second", false]);
	});

	test("an answer that is told again does not take the client back", async () => {
		const client = await one.client();
		const sessionId = await client.join();
		for (const clientMessageId of ["c1", "c2", "c1"]) {
			const before = bot(client).length;
			await client.ask("send-message", { sessionId, message: clientMessageId, userId: "visitor-1", clientMessageId });
			await waitFor("the answer", () => bot(client).length > before);
		}
		assert.deepEqual(seqs(bot(client)), [2, 4, 2]);
		assert.match(client.socket._lastOffset, /^4\./);
	});

	test("who has only joined is recovered too: chat-joined carries an offset", async () => {
		const client = await one.client(RECONNECTS);
		const sessionId = await client.join();
		cut(client);
		const said = await one.say(sessionId, "the first of all");
		await comeBack(client, 2);
		assert.equal(client.socket.recovered, true);
		await client.when("message-received", (m) => m.seq === said.seq);
	});

	test("a late one, one in two sessions, a forged pid or offset are connected as new", async () => {
		const fresh = async (spoil, delay) => {
			const client = await one.client({ ...RECONNECTS, reconnectionDelay: delay ?? 30, reconnectionDelayMax: delay ?? 30, randomizationFactor: 0 });
			const sessionId = await client.join();
			const said = await one.say(sessionId, "one");
			await client.when("message-received", (m) => m.seq === said.seq);
			await spoil(client);
			cut(client);
			await waitFor("connected again", () => connections(client) === 2 && client.socket.connected);
			assert.equal(client.socket.recovered, false);
			assert.equal((await client.ask("join-chat", { userId: "visitor-1", sessionId, seq: said.seq })).ok, true);
			assert.deepEqual((await client.when("chat-joined", (j) => j.history)).history, []);
		};
		await fresh((client) => client.join());
		await fresh((client) => { client.socket._pid = client.socket._pid.replace(/./g, "x"); });
		await fresh((client) => { client.socket._lastOffset = "4711.abcdef"; });
		await fresh((client) => { client.socket._lastOffset = client.socket._lastOffset.replace(/^\d+/, "99"); });
		await fresh((client) => { client.socket._lastOffset = "{[\"\\"; });
		await fresh(() => {}, 2000);
	});

	test("other programs reach it as before, though it was the only one in its session", async () => {
		const client = await one.client(RECONNECTS);
		const sessionId = await client.join();
		const redis = await one.redis();
		const io = new Emitter({ publish: (channel, payload) => redis.call("PUBLISH", channel, payload) });
		cut(client);
		await comeBack(client, 2);
		assert.equal(client.socket.recovered, true);
		io.to(sessionId).emit("to the session");
		io.emit("to all");
		await client.when("to all");
		assert.equal(client.all("to the session").length, 1);
	});

	for (const [what, again] of [
		["joins again", (client, sessionId) => client.ask("join-chat", { userId: "visitor-1", sessionId })],
		["repeats a message", (client, sessionId) => client.ask("send-message", { sessionId, userId: "visitor-1", message: "first", clientMessageId: "c1" })],
	])
		test(`who is in the session and ${what} while others talk misses nothing`, async () => {
			const client = await one.client(RECONNECTS);
			const sessionId = await client.join();
			const first = await client.ask("send-message", { sessionId, userId: "visitor-1", message: "first", clientMessageId: "c1" });
			await client.when("message-received", (m) => m.seq === first.seq + 1);
			let over = false;
			const busy = (async () => {
				while (!over)
					assert.equal((await again(client, sessionId)).ok, true);
			})();
			for (let i = 0; i < 40; i++)
				await one.say(sessionId, `message ${i}`);
			over = true;
			await busy;
			const history = await one.history(sessionId);
			await client.when("message-received", (m) => m.seq === history.length);
			const live = [...client.all("message-accepted"), ...bot(client)].filter((m) => m.seq > 2);
			const once = new Set(live.map((m) => m.seq));
			assert.deepEqual([...once].sort((a, b) => a - b), seqs(history).slice(2));
			assert.equal(live.length, once.size, "nothing came twice");
		});

	test("who said goodbye is not remembered", async () => {
		const client = await one.client(RECONNECTS);
		await client.join();
		client.socket.disconnect();
		client.socket.connect();
		await comeBack(client, 2);
		assert.equal(client.socket.recovered, false);
	});
});

describe("a client that names its last seq", () => {
	// What a page does: it joins again with the last seq whenever it was not recovered, and sends again what was not acknowledged.
	async function chatter(number, sessionId, options) {
		const client = await clientOn(number, options);
		const known = new Map();
		const put = (m, what) => {
			assert.ok(!known.has(m.seq) || known.get(m.seq).what !== what || what === "history", `${what} ${m.seq} came twice`);
			known.set(m.seq, { ...m, what });
		};
		const lastSeq = () => {
			let n = 0;
			while (known.has(n + 1))
				n++;
			return n;
		};
		const join = async () => {
			for (;;) {
				const ack = await client.socket.timeout(1500).emitWithAck("join-chat", { userId: "visitor-1", sessionId, seq: lastSeq() }).catch(() => null);
				if (ack?.ok || !client.socket.connected)
					return;
			}
		};
		client.socket.on("message-received", (m) => put(m, "live"));
		client.socket.on("message-accepted", (m) => put(m, "live"));
		client.socket.on("chat-joined", (j) => j.history?.forEach((m) => put(m, "history")));
		client.socket.on("connect", () => client.socket.recovered || join());
		await join();
		return { client, known, lastSeq };
	}

	async function under(disturb, { messages = 24 } = {}) {
		const sessionId = await stack.session();
		const listeners = [await chatter(0, sessionId), await chatter(1, sessionId), await chatter(0, sessionId, { transports: ["polling"] })];
		const writer = await chatter(1, sessionId);
		const acked = [];
		let writing = true;
		const traffic = (async () => {
			for (let i = 0; i < messages || writing; i++) {
				await pause(60);	// a person who writes fast, not a flood: answers are to come between
				const clientMessageId = unique("m");
				for (;;) {
					const ack = await writer.client.socket.timeout(1500)
						.emitWithAck("send-message", { sessionId, message: `text ${i}`, userId: "visitor-1", clientMessageId }).catch(() => null);
					if (ack?.ok) {
						writer.known.set(ack.seq, { seq: ack.seq, what: "ack" });
						acked.push({ seq: ack.seq, text: `text ${i}` });
						break;
					}
					assert.ok(ack === null || ack.code !== "conflict", JSON.stringify(ack));
				}
			}
		})();
		await disturb();
		writing = false;
		await traffic;
		const history = await waitFor("an answer to the last one", async () => {
			const now = await stack.history(sessionId);
			return now.at(-1).role === "assistant" && now;
		}, { ms: 30_000 });
		const users = history.filter((m) => m.role === "user");
		assert.deepEqual(users.map((m) => ({ seq: m.seq, text: m.content })), acked, "each acknowledged message is stored once, in order");
		for (const [i, c] of [...listeners, writer].entries()) {
			await waitFor(`client ${i} knows all`, () => c.lastSeq() === history.length, { ms: 15_000 }).catch((error) => {
				const { connected, io } = c.client.socket;
				throw new Error(`${error.message}: it knows ${c.lastSeq()} of ${history.length}, connected ${connected}, ` +
					`by ${io.engine?.transport?.name}, ${io.engine?.transport?.readyState}, upgrading ${io.engine?.upgrading}`);
			});
			for (const m of history)
				if (c !== writer || m.role !== "user")
					assert.equal(c.known.get(m.seq).content ?? c.known.get(m.seq).message, m.content, `client ${i}, seq ${m.seq}`);
		}
		for (const c of [...listeners, writer])
			c.client.close();
		return { history, listeners };
	}

	test("gets everything when both pushd are killed under traffic, whichever it comes back to", async () => {
		const { listeners } = await under(async () => {
			for (let i = 0; i < 3; i++) {
				await stack.kill("pushd");
				await pause(300);
				await stack.kill("pushd-1");
				await pause(300);
			}
		});
		assert.ok(listeners.every((l) => connections(l.client) >= 2), "they were really cut off");
	});

	test("gets everything while every program is restarted, and no call fails", async () => {
		const before = await stack.programs();
		let done = false;
		const failed = [];
		let served = 0;
		const callers = Array.from({ length: 4 }, async (_, k) => {
			while (!done) {
				const id = await stack.post("/api/v1/chat/session", { userId: `u${k}` }).catch((error) => ({ status: error.code }));
				const said = id.status === 200
					? await stack.message(id.json.sessionId, "hello", { userId: `u${k}` }).catch((error) => ({ status: error.code })) : id;
				const health = await stack.get("/health").catch((error) => ({ status: error.code }));
				for (const res of [id, said, health])
					if (res.status === 200)
						served++;
					else
						failed.push(res.status, res.text);
			}
		});
		await under(() => stack.restart());
		done = true;
		await Promise.all(callers);
		assert.deepEqual(failed, []);
		assert.ok(served > 50, `${served} were served`);
		const after = await stack.programs();
		for (const p of after)
			assert.equal(p.pid === before.find((b) => b.name === p.name).pid, ["nginx", "redis", "supervisor"].includes(p.name), p.name);
	});

	for (const transport of ["websocket", "polling"])
		test(`nothing that is said while pushd and events are restarted is lost, also without an acknowledgement, by ${transport}`, async () => {
			let talking = true;
			const talkers = await Promise.all(Array.from({ length: 15 }, async (_, i) => {
				const sessionId = await stack.session(), client = await stack.client({ ...RECONNECTS, transports: [transport] });
				let seq = 0, cut = 0;
				client.socket.on("message-received", (m) => { seq = m.seq; });
				client.socket.on("disconnect", () => cut++);
				client.socket.on("connect", () => client.emit("join-chat", { sessionId, userId: "visitor-1", seq }));
				await client.join({ sessionId, userId: "visitor-1" });
				return { sessionId, client, said: [], cut: () => cut, pause: 120 + 8 * i };	// two in one round trip: a client that polls keeps the second, and throws it away when it is cut off
			}));
			const all = talkers.map(async (t) => {
				while (talking) {
					t.said.push(`${transport} ${t.said.length}`);
					t.client.emit("send-message", { sessionId: t.sessionId, userId: "visitor-1", message: t.said.at(-1) });
					await pause(t.pause);
				}
			});
			for (const name of ["pushd", "events", "pushd"])
				await stack.restart(name);
			talking = false;
			await Promise.all(all);
			for (const t of talkers) {
				const stored = await waitFor("all is stored", async () => {
					const users = (await stack.history(t.sessionId)).filter((m) => m.role === "user").map((m) => m.content);
					return users.includes(t.said.at(-1)) && users;
				});
				assert.deepEqual(stored, t.said);
				assert.ok(t.cut() > 0, "it was really cut off");
				t.client.close();
			}
		});

	test("one program is restarted by its name, one that is none is refused", async () => {
		const before = await stack.programs();
		await stack.restart("health");
		const after = await stack.programs();
		assert.deepEqual(after.filter((p) => p.pid !== before.find((b) => b.name === p.name).pid).map((p) => p.name), ["health"]);
		await assert.rejects(stack.restart("redis"), /no such program/);
	});
});
