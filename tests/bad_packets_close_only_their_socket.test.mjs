// Any bytes at a socket end at most that socket, as the protocols prescribe.

import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import net from "node:net";
import { once } from "node:events";
import WebSocket from "ws";
import { startUpstream, reply } from "./upstream.mjs";
import { startStack, within, waitFor, pause } from "./harness.mjs";

let upstream, stack, pids, bystander, sessionId;

const standing = async () => (await stack.programs()).map((p) => `${p.name} ${p.pid} ${p.restarts}`).sort();

before(async () => {
	upstream = await startUpstream({ otherwise: reply("ok") });
	stack = await startStack({ upstream });
	pids = await standing();
	bystander = await stack.client({ transports: ["websocket"] });
	sessionId = await bystander.join();
});
after(async () => {
	try {
		if (stack) {
			assert.deepEqual(await standing(), pids, "every program is still the one that was started");
			assert.deepEqual(bystander.all("disconnect"), [], "the bystander was never disconnected");
			assert.equal((await bystander.ask("send-message", { sessionId, message: "still here", userId: "visitor-1" })).ok, true);
		}
	} finally {
		await stack?.stop();
		await upstream.close();
	}
});

const wsUrl = (query = "EIO=4&transport=websocket") => `${stack.url.replace("http", "ws")}/socket.io/?${query}`;

async function open({ join = true } = {}) {
	const ws = new WebSocket(wsUrl());
	ws.on("error", () => {});
	ws.closed = once(ws, "close");
	await within(once(ws, "message"), 30_000, "the open packet");
	if (join) {
		ws.send("40");
		const [answer] = await within(once(ws, "message"), 30_000, "the answer to CONNECT");
		assert.match(answer.toString(), /^40\{/);
	}
	return ws;
}

const closes = [
	"4abc", "42{}", "42[]", "42[1", "42abc[\"x\"]", "42\"x\"", "42[null]", "42[{}]", "42[true]", "42[[]]", "42[\"connect\"]", "42[\"disconnect\"]", "42[\"newListener\",1]", "42[\"connect_error\"]",
	"47", "49[\"x\"]", "4x", "4", "40[]", "40\"x\"", "40{", "40", "40{\"a\":}", "43{}", "43x[]", "45", "451", "451-[", "451-[]", "45-[\"x\"]", "45x-[\"x\"]", "450-[\"x\",{\"_placeholder\":true,\"num\":0}]",
	"4511-[\"x\"]", "45999999999999999999-[\"x\"]", "45-1-[\"x\"]", "451[\"x\"]", "42/admin,[\"x\"]", "42/admin[\"x\"]", "43/admin,1[]", "44{}", "44\"x\"", "2", "9", "x", "", "42[\"x\",\u0000]",
	"42[\"a\"]x", "42[\"a\",]", `42[${"[".repeat(100_000)}`, "42[\"x\",NaN]", "42['x']", "\u0000",
];

test("an event that is nested too deeply gets an error event and a negative acknowledgement, and the connection lives on", async () => {
	for (const depth of [31, 32, 33, 1000, 100_000]) {
		const ws = await open();
		const answers = [];
		ws.on("message", (data) => answers.push(data.toString()));
		ws.send(`421["send-message",${"[".repeat(depth)}${"]".repeat(depth)}]`);
		await waitFor(`the answers to ${depth} levels`, () => answers.some((a) => a.startsWith("42[\"error\"")) && answers.some((a) => a.startsWith("431[")));
		assert.equal(JSON.parse(answers.find((a) => a.startsWith("431[")).slice(3))[0].ok, false);
		ws.send("422[\"unknown\"]");
		await waitFor("what follows is answered", () => answers.some((a) => a.startsWith("432[")));
		ws.close();
	}
});

test("every bad packet closes its own socket", async () => {
	const survivors = [];
	for (const packet of closes) {
		const ws = await open();
		ws.send(packet);
		const done = await within(ws.closed, 3000, "close").then(() => true, () => false);
		if (!done)
			survivors.push(packet.slice(0, 60));
		ws.terminate();
	}
	assert.deepEqual(survivors, []);
});

test("what is harmless does not close", async () => {
	for (const packet of ["3", "3x", "5", "6", "0", "4399[]", "43123[1,2]", "41", "42[\"unknown\"]", "427[\"unknown\",null]", "42[\"join-chat\",{\"userId\":\"x\"}]", "40/unknown,", "42[0]", "42[5,\"x\"]"]) {
		const ws = await open();
		ws.send(packet);
		if (packet === "41") {
			await pause(100);	// the reference, too, leaves a moment later than it reads
			ws.send("40");
		} else
			ws.send("429[\"join-chat\",{\"userId\":\"probe\"}]");
		const seen = [];
		ws.on("message", (data) => seen.push(data.toString()));
		await waitFor(`an answer after ${packet}`, () => seen.some((m) => m.startsWith("439[") || m.startsWith("40{")) || ws.readyState !== WebSocket.OPEN);
		assert.equal(ws.readyState, WebSocket.OPEN, packet);
		ws.terminate();
	}
});

test("binary where none is announced, and the wrong number of it", async () => {
	for (const frames of [[Buffer.from([1])], [Buffer.alloc(0)], ["451-[\"x\",{\"_placeholder\":true,\"num\":0}]", "42[\"y\"]"], ["451-[\"x\",{\"_placeholder\":true,\"num\":5}]", Buffer.from([1])],
		["451-[\"x\",{\"_placeholder\":true,\"num\":-1}]", Buffer.from([1])], ["452-[\"x\",{\"_placeholder\":true,\"num\":0}]", Buffer.from([1]), "2"],
		["451-[\"x\",{\"_placeholder\":true,\"num\":1e99}]", Buffer.from([1])]]) {
		const ws = await open();
		for (const frame of frames)
			ws.send(frame);
		await within(ws.closed, 30_000, `close after ${frames.map(String)}`);
	}
	const ws = await open();
	ws.send("451-[\"join-chat\",{\"_placeholder\":true,\"num\":0}]");
	ws.send(Buffer.from([1, 2, 3]));
	const [answer] = await within(once(ws, "message"), 30_000, "the error event");
	assert.match(answer.toString(), /^42\["error",\{/);
	ws.terminate();
});

test("a packet beyond the limit closes with 1009", async () => {
	const ws = await open();
	ws.send(`42["x","${"a".repeat(1_000_001)}"]`);
	const [code] = await within(ws.closed, 30_000, "close");
	assert.equal(code, 1009);
	const near = await open();
	near.send(`421["unknown","${"a".repeat(999_000)}"]`);
	const seen = [];
	near.on("message", (data) => seen.push(data.toString()));
	await waitFor("an answer to a large packet", () => seen.some((m) => /^4(?:2|31)\[/.test(m)));
	near.terminate();
});

test("bad frames end their connection only", async () => {
	const { port } = new URL(stack.url);
	const frames = {
		"not masked": [0x81, 0x01, 0x32], "reserved bit": [0xc1, 0x81, 0, 0, 0, 0, 0x32], "unknown opcode": [0x83, 0x80, 0, 0, 0, 0], "continuation of nothing": [0x80, 0x80, 0, 0, 0, 0],
		"a ping in pieces": [0x09, 0x80, 0, 0, 0, 0], "a ping too long": [0x89, 0xfe, 0x01, 0x00, 0, 0, 0, 0], "63 bits of length": [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x34],
		"64 bits of length": [0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], "invalid UTF-8": [0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28],
		"a close with one byte": [0x88, 0x81, 0, 0, 0, 0, 0x03], "a close with a bad code": [0x88, 0x82, 0, 0, 0, 0, 0x00, 0x01],
		"text inside a message": [0x01, 0x81, 0, 0, 0, 0, 0x34, 0x81, 0x81, 0, 0, 0, 0, 0x32],
	};
	for (const [name, frame] of Object.entries(frames)) {
		const socket = net.connect(Number(port), "127.0.0.1");
		socket.on("error", () => {});
		const closed = new Promise((resolve) => { socket.on("close", resolve); });
		socket.write("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
		let head = "";
		socket.on("data", (data) => { head += data.toString("latin1"); });
		await waitFor("the handshake", () => head.includes("0{\"sid\""));
		assert.match(head, /^HTTP\/1\.1 101/);
		assert.match(head, /s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
		assert.doesNotMatch(head, /sec-websocket-extensions/i);
		socket.write(Buffer.from(frame));
		await within(closed, 30_000, name);
	}
});

test("bad polls are answered as the protocol says", async () => {
	const get = (query) => stack.get(`/socket.io/?${query}`);
	const expected = { "": 0, "EIO=4": 0, "EIO=4&transport=": 0, "EIO=4&transport=x": 0, "EIO=4&transport=webtransport": 0, "transport=polling": 5, "EIO=3&transport=polling": 5,
		"EIO=x&transport=polling": 5, "EIO=4&transport=polling&sid=nope": 1, "EIO=4&transport=websocket": 3, [`EIO=4&transport=polling&sid=${"a".repeat(3000)}`]: 1,
		"EIO=4&transport=polling&sid=%00": 1, "EIO=4&transport=polling&sid=..%2f": 1 };
	for (const [query, code] of Object.entries(expected)) {
		const res = await get(query);
		assert.equal(res.status, 400, query);
		assert.match(res.headers["content-type"], /^application\/json/, query);
		assert.equal(res.json.code, code, query);
	}
	for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
		const res = await stack.call(method, "/socket.io/?EIO=4&transport=polling", { body: "40", headers: { "content-type": "text/plain" } });
		assert.equal(res.status, 400, method);
		assert.equal(res.json.code, 2, method);
	}
	const session = async () => JSON.parse((await get("EIO=4&transport=polling")).text.slice(1)).sid;
	const post = (sid, body, type = "text/plain;charset=UTF-8") => stack.call("POST", `/socket.io/?EIO=4&transport=polling&sid=${sid}`, { body, headers: { "content-type": type } });
	for (const body of ["", "x", "9", "4abc", "\x1e", "40\x1e", "\x1e40", "b", "b!!!!", "bAAA", "40\x1eb====", "2", Buffer.from([0xff, 0xfe]), Buffer.from([0x34, 0x30, 0x1e, 0xc3])]) {
		const sid = await session();
		const res = await post(sid, body);
		assert.ok([200, 400].includes(res.status), JSON.stringify(String(body)));
		await waitFor(`the session of ${JSON.stringify(String(body))} is gone`, async () => (await get(`EIO=4&transport=polling&sid=${sid}`)).status === 400);
	}
	const sid = await session();
	assert.equal((await post(sid, "40", "application/octet-stream")).status, 400);
	const other = await session();
	assert.equal((await post(other, "4".repeat(1_000_001))).status, 413);
	assert.equal((await post(other, "40")).text, "ok", "the session lives on");
	assert.match((await get(`EIO=4&transport=polling&sid=${other}`)).text, /^40\{"sid"/);
});

test("a sid alone opens nobody's session on another transport", async () => {
	const res = await stack.get("/socket.io/?EIO=4&transport=polling");
	const { sid } = JSON.parse(res.text.slice(1));
	const ws = new WebSocket(wsUrl(`EIO=4&transport=websocket&sid=${sid}`));
	ws.on("error", () => {});
	const closed = once(ws, "close");
	await once(ws, "open");
	ws.send("42[\"join-chat\",{\"userId\":\"x\"}]");
	await within(closed, 30_000, "close of a probe that does not probe");
	assert.equal((await stack.call("POST", `/socket.io/?EIO=4&transport=polling&sid=${sid}`, { body: "40", headers: { "content-type": "text/plain" } })).text, "ok");
});

test("a flood on one socket is cut off, others are served", async () => {
	const ws = await open();
	for (let i = 0; i < 2000; i++)
		ws.send(`42${i}["send-message",{"sessionId":"${"A".repeat(32)}","message":"flood ${i}","userId":"x"}]`);
	const start = Date.now();
	const ack = await bystander.ask("send-message", { sessionId, message: "hello in the flood", userId: "visitor-1" });
	assert.equal(ack.ok, true);
	assert.ok(Date.now() - start < 20_000);
	ws.terminate();
});

test("random packets", async () => {
	let seed = 7;
	const random = (n) => {
		seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
		return Math.floor((seed / 2 ** 32) * n);
	};
	const seeds = ["42[\"send-message\",{\"sessionId\":\"x\",\"message\":\"y\",\"userId\":\"z\"}]", "4212[\"join-chat\",{\"userId\":\"x\",\"seq\":1}]", "40/admin,{\"a\":1}", "451-[\"x\",{\"_placeholder\":true,\"num\":0}]", "431[1]", "2probe"];
	for (let i = 0; i < 150; i++) {
		const ws = await open({ join: i % 3 !== 0 });
		for (let k = 0; k < 5 && ws.readyState === WebSocket.OPEN; k++) {
			const packet = [...seeds[random(seeds.length)]];
			for (let j = 0; j <= random(3); j++)
				packet[random(packet.length)] = String.fromCharCode(random(128));
			ws.send(packet.join("").slice(0, 1 + random(packet.length)));
		}
		ws.terminate();
	}
});
