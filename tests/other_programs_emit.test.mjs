// @socket.io/redis-emitter, unmodified, reaches the sockets of this system, on whichever pushd they are.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { startStack, waitFor } from "./harness.mjs";

const { Emitter } = createRequire(import.meta.url)("@socket.io/redis-emitter");

let stack, io, redis;
const clients = [];

before(async () => {
	stack = await startStack({ env: { PUSHD_COUNT: "2" } });
	redis = await stack.redis();
	io = new Emitter({ publish: (channel, payload) => redis.call("PUBLISH", channel, payload) });
	// Two sessions; a and b are in the first one, c in the second, d in none; half of them poll.
	for (const transports of [["websocket"], ["polling"], ["websocket"], ["polling"]])
		clients.push(await stack.client({ transports }));
	const [a, b, c] = clients;
	a.sessionId = await a.join();
	await b.ask("join-chat", { userId: "visitor-1", sessionId: a.sessionId });
	b.sessionId = a.sessionId;
	c.sessionId = await c.join();
});
after(() => stack?.stop());

// Who got it, as letters: a further emission to all, behind it, tells when to look.
let rounds = 0;
async function heard(name) {
	const mark = `mark-${++rounds}`;
	io.emit(mark);
	await Promise.all(clients.filter((c) => c.socket.connected).map((c) => c.when(mark)));
	return clients.map((c, i) => "abcd"[i].repeat(c.events.filter((e) => e.name === name).length)).join("");
}

test("an emission reaches the sockets of a session, of an id, of several, of all, and nobody else", async () => {
	const [a, b, c, d] = clients;
	const cases = [
		["all", () => io, "abcd"],
		["a session", () => io.to(a.sessionId), "ab"],
		["two sessions", () => io.to([a.sessionId, c.sessionId]), "abc"],
		["a socket", () => io.to(d.socket.id), "d"],
		["a socket and its session, once", () => io.to(a.socket.id).to(a.sessionId), "ab"],
		["a session except a socket", () => io.to(a.sessionId).except(a.socket.id), "b"],
		["all except a session", () => io.except(a.sessionId), "cd"],
		["all except a session and a socket", () => io.except([a.sessionId, d.socket.id]), "c"],
		["a session that is not there", () => io.to("A".repeat(22)), ""],
		["another namespace", () => io.of("/admin"), ""],
		["a room with odd characters", () => io.to("*[]?\\ é"), ""],
		["the Redis channel of a room", () => io.to("room:x"), ""],
	];
	for (const [name, to, who] of cases) {
		to().emit(`case ${name}`, { n: 1 });
		assert.equal(await heard(`case ${name}`), who, name);
	}
	assert.ok(b.socket.connected);
});

test("values arrive as they were sent, binary too", async () => {
	const values = [0, -1, 127, 128, -129, 65536, 2 ** 40, -(2 ** 40), 1.5, 0.1, 1.7e-300, true, false, null, "é€😀\u001e\"\\", "", "x".repeat(70000),
		[1, [2, []]], { a: { b: [{}] }, "ключ": 1 }];
	io.to(clients[0].socket.id).emit("values", ...values, {});
	await clients[0].when("values");
	assert.deepEqual(clients[0].events.find((e) => e.name === "values").args, [...values, {}]);
	const bytes = Buffer.from([0, 1, 2, 255]);
	for (const c of clients.slice(0, 2)) {
		io.to(c.socket.id).emit("binary", { bytes }, bytes, new Date(0));
		await c.when("binary");
		const { args } = c.events.find((e) => e.name === "binary");
		assert.deepEqual([Buffer.from(args[0].bytes), Buffer.from(args[1]), args[2]], [bytes, bytes, "1970-01-01T00:00:00.000Z"]);
	}
});

test("a text at the end is not taken for an offset", async () => {
	const [a] = clients;
	const offset = a.socket._lastOffset;
	assert.match(offset, /^\d+\.\S{6}\.\S{22}$/);
	io.to(a.sessionId).emit("note", "in the end", "12");
	await a.when("note");
	assert.equal(a.socket._lastOffset, offset);
	assert.deepEqual(a.events.find((e) => e.name === "note").args.slice(0, 2), ["in the end", "12"]);
});

test("sockets join and leave rooms, and are disconnected", async () => {
	const [a, b, c, d] = clients;
	io.in(a.sessionId).socketsJoin(["blue", "green"]);
	io.in(d.socket.id).socketsJoin("blue");
	await heard("");
	io.to("blue").emit("to blue");
	assert.equal(await heard("to blue"), "abd");
	io.in(b.socket.id).socketsLeave("blue");
	await heard("");
	io.to("blue").emit("to blue again");
	assert.equal(await heard("to blue again"), "ad");
	io.to("green").emit("to green");
	assert.equal(await heard("to green"), "ab");
	io.in("blue").except(a.sessionId).disconnectSockets(true);
	assert.equal(await d.when("disconnect"), "io server disconnect");
	io.in(c.socket.id).disconnectSockets();
	assert.equal(await c.when("disconnect"), "io server disconnect");
	await heard("");
	assert.ok(a.socket.connected && b.socket.connected);
	io.serverSideEmit("nobody is there to hear it");
	assert.equal(await heard("nobody is there to hear it"), "");
});

test("what is volatile comes to who listens right now", async () => {
	const [a] = clients;
	io.volatile.to(a.sessionId).emit("volatile one");
	await a.when("volatile one");
});

test("nonsense on the channels harms nobody", async () => {
	const pids = (await stack.programs()).map((p) => p.pid);
	const nonsense = ["", "x", "\x93", Buffer.from("93a178a0c0", "hex"), Buffer.from("dd7fffffff", "hex"), Buffer.from("91".repeat(5000), "hex"),
		Buffer.from("93a7656d697474657283a47479706502a46461746190a36e7370a12f83a5726f6f6d7390a5666c61677380a665786365707490", "hex"),
		Buffer.from("93a7656d697474657283a47479706502a46461746191a7636f6e6e656374a36e7370a12f83a5726f6f6d7390a5666c61677380a665786365707490", "hex")];
	for (const channel of ["socket.io#/#", "socket.io#/#x#", "socket.io-request#/#"])
		for (const payload of [...nonsense, "{}", "{\"type\":4}", "{\"type\":4,\"opts\":{\"rooms\":[1]}}", "{\"type\":2,\"rooms\":7,\"opts\":[]}"])
			if (!(channel.includes("request") && payload === "{\"type\":4}"))	// that is everybody
				await redis.call("PUBLISH", channel, payload);
	const [a, b] = clients;
	io.to(a.sessionId).emit("still here");
	await Promise.all([a, b].map((c) => c.when("still here")));
	assert.equal(a.events.filter((e) => e.name === "disconnect").length, 0);
	assert.deepEqual((await stack.programs()).map((p) => p.pid), pids);
	await waitFor("an answer as before", async () => (await stack.say(a.sessionId, "hello")).success);
});
