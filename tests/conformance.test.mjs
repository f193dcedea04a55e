// The push daemon behind nginx: every row of the conformance table, and the tables of the protocol that a server obeys.

import { test, describe, before, after } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { io } from "socket.io-client";
import { startRig, pause } from "./conformance/rig.mjs";
import { hands, redisClient, RS } from "./conformance/hands.mjs";
import { waitFor, within } from "./harness.mjs";

function cpuTicks(pid) {
	const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
	return Number(fields[11]) + Number(fields[12]);
}

const PAYLOAD = 1_000_000;
const PATIENCE = 20_000;	// ms; less than the heartbeat of the rigs that are not about it
const ERRORS = ["Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request", "Forbidden", "Unsupported protocol version"];
const error = (code) => ({ code, message: ERRORS[code] });

async function assertError(res, code, status = 400) {
	assert.equal(res.status, status);
	assert.equal(res.headers.get("content-type"), "application/json");
	assert.equal(res.headers.get("cache-control"), null);
	assert.deepEqual(await res.json(), error(code));
}

// When the daemon has seen the end of what carried the session.  It is asked by what says nothing: a held GET stays held.
async function endsSoon(eio, sid) {
	const start = Date.now();
	while ((await eio.post(sid, "6")).status !== 400)
		assert.ok(Date.now() - start < PATIENCE, "the session still lives");
	await assertError(await eio.get(sid), 1);
}

describe("Engine.IO", () => {
	let rig, eio;

	before(async () => {
		rig = await startRig({ redis: false });
		eio = hands(rig, "/engine.io/");
	});
	after(() => rig.stop());

	const handshakeIsOver = async (sid) => assertError(await eio.get(sid), 1);
	const becomesOver = (sid) => endsSoon(eio, sid);

	describe("a held GET whose client goes away", () => {
		test("is seen at once and costs nothing", async () => {
			const { sid } = await eio.handshake();
			const socket = eio.heldGet(sid);
			await pause(60);
			const before = cpuTicks(rig.pid("echo"));
			socket.destroy();
			await becomesOver(sid);
			await pause(1000);
			assert.ok(cpuTicks(rig.pid("echo")) - before <= 10, "the daemon spins");
		});

		test("closing its side only is seen too", async () => {
			const { sid } = await eio.handshake();
			const socket = eio.heldGet(sid);
			await pause(60);
			socket.end();
			await becomesOver(sid);
		});
	});

	describe("handshake", () => {
		test("polling", async () => {
			const { res, text, ...open } = await eio.handshake();
			assert.equal(res.status, 200);
			assert.equal(res.headers.get("content-type"), "text/plain; charset=UTF-8");
			assert.equal(res.headers.get("cache-control"), "no-store");
			assert.equal(Number(res.headers.get("content-length")), text.length);
			assert.equal(text[0], "0");
			assert.deepEqual(Object.keys(open), ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]);
			assert.match(open.sid, /^[\w-]{20,}$/);
			assert.deepEqual({ ...open, sid: "" }, { sid: "", upgrades: ["websocket"], pingInterval: 25000, pingTimeout: 20000, maxPayload: PAYLOAD });
		});

		test("websocket", async () => {
			const ws = await eio.open();
			assert.deepEqual(Object.keys(ws.session), ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]);
			assert.deepEqual(ws.session.upgrades, []);
			assert.equal(ws.extensions, "");
			ws.close();
		});

		test("on ::1 as well", async () => {
			const res = await fetch(`http://[::1]:${rig.port}/engine.io/?EIO=4&transport=polling`);
			assert.equal(res.status, 200);
		});

		test("the client's compression offer is declined", async () => {
			const ws = await eio.open({}, { perMessageDeflate: true });
			assert.equal(ws.extensions, "");
			ws.close();
		});
	});

	describe("bad handshake", () => {
		const polling = [
			["EIO missing", { transport: "polling", EIO: "" }, {}, 5],
			["EIO wrong", { transport: "polling", EIO: "abc" }, {}, 5],
			["EIO of an older revision", { transport: "polling", EIO: "3" }, {}, 5],
			["transport missing", { transport: "" }, {}, 0],
			["transport wrong", { transport: "abc" }, {}, 0],
			["webtransport", { transport: "webtransport" }, {}, 0],
			["POST without sid", { transport: "polling" }, { method: "POST", body: "4x" }, 2],
			["PUT without sid", { transport: "polling" }, { method: "PUT" }, 2],
			["OPTIONS without CORS", { transport: "polling" }, { method: "OPTIONS" }, 2],
			["sid unknown", { transport: "polling", sid: "abcdefghijklmnopqrst" }, {}, 1],
			["sid of another length", { transport: "polling", sid: "a" }, {}, 1],
			["POST with sid unknown", { transport: "polling", sid: "a" }, { method: "POST", body: "4x" }, 1],
			["websocket without upgrade", { transport: "websocket" }, {}, 3],
		];
		for (const [name, query, options, code] of polling)
			test(`polling: ${name}`, async () => assertError(await fetch(eio.url(query), options), code));

		test("EIO differs from the session's", async () => {
			const { sid } = await eio.handshake();
			await assertError(await fetch(eio.url({ transport: "polling", sid, EIO: "3" })), 3);
		});

		const websocket = [
			["EIO missing", { transport: "websocket" }, 5],
			["EIO wrong", { EIO: "abc", transport: "websocket" }, 5],
			["transport missing", { EIO: "4" }, 0],
			["transport wrong", { EIO: "4", transport: "abc" }, 0],
			["sid unknown", { EIO: "4", transport: "websocket", sid: "abc" }, 1],
			["transport polling", { EIO: "4", transport: "polling" }, 3],
		];
		for (const [name, query, code] of websocket)
			test(`websocket: ${name} is refused before the upgrade`, async () => {
				const { status, type, body } = await eio.upgrade(query);
				assert.deepEqual({ status, type, body }, { status: 400, type: "text/html", body: ERRORS[code] });
			});

		const broken = [
			["no key", { "Sec-WebSocket-Key": "" }],
			["a short key", { "Sec-WebSocket-Key": "abc" }],
			["a key that is not base64", { "Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!==" }],
			["version 8", { "Sec-WebSocket-Version": "8" }],
			["no version", { "Sec-WebSocket-Version": "" }],
		];
		for (const [name, headers] of broken)
			test(`websocket: ${name} is refused before the upgrade`, async () => {
				const res = await eio.upgrade({ EIO: "4", transport: "websocket" }, { headers });
				assert.equal(res.status, 400);
				assert.equal(res.headers["sec-websocket-version"], "13");
			});

		test("websocket: another upgrade is refused", async () => {
			const res = await eio.upgrade({ EIO: "4", transport: "websocket" }, { headers: { Upgrade: "h2c" } });
			assert.equal(res.status, 400);
		});

		test("websocket: a large cookie is not a bare end", async () => {
			const ok = await eio.upgrade({ EIO: "4", transport: "websocket" }, { headers: { Cookie: `a=${"x".repeat(7000)}` } });
			assert.equal(ok.status, 101);
		});

		test("bad bytes in Origin", async () => {
			const answer = await new Promise((resolve) => {
				const socket = net.connect(rig.port, "127.0.0.1");
				let text = "";
				socket.on("data", (data) => { text += data; }).on("close", () => resolve(text));
				socket.write("GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nOrigin: http://a\x7f\r\nConnection: close\r\n\r\n");
			});
			assert.match(answer, /^HTTP\/1.1 400/);
		});

		test("nothing that is not HTTP gets further", async () => {
			for (const bytes of ["\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nA b: c\r\n\r\n", "\0\0\r\n\r\n", "x".repeat(40000)]) {
				const answer = await new Promise((resolve) => {
					const socket = net.connect(path.join(rig.dir, "echo-ws.sock"));
					let text = "";
					socket.on("data", (data) => { text += data; }).on("close", () => resolve(text)).on("error", () => resolve(text));
					socket.write(bytes);
				});
				assert.match(answer, /^HTTP\/1.1 4/);
			}
		});
	});

	describe("polling", () => {
		test("POST answers ok, the next GET everything in order", async () => {
			const { sid } = await eio.handshake();
			const res = await eio.post(sid, `4test1${RS}4test2${RS}4test3`);
			assert.equal(res.status, 200);
			assert.equal(res.headers.get("content-type"), "text/html");
			assert.equal(res.headers.get("cache-control"), "no-store");
			assert.equal(await res.text(), "ok");
			assert.equal(await eio.text(sid), `200 4test1${RS}4test2${RS}4test3`);
		});

		test("a held GET gets what arrives", async () => {
			const { sid } = await eio.handshake();
			const held = eio.text(sid);
			await pause(30);
			await eio.post(sid, "4hello");
			assert.equal(await held, "200 4hello");
		});

		test("binary is b and base64, in both directions", async () => {
			const { sid } = await eio.handshake();
			await eio.post(sid, `4hello${RS}bAQIDBA==${RS}b-_8${RS}b`);
			assert.equal(await eio.text(sid), `200 4hello${RS}bAQIDBA==${RS}b+/8=${RS}b`);
		});

		test("t, b64 and j are ignored", async () => {
			const res = await fetch(eio.url({ transport: "polling", t: "abc", b64: "1", j: "0" }));
			assert.equal(res.status, 200);
		});

		test("text is UTF-8", async () => {
			const { sid } = await eio.handshake();
			await eio.post(sid, "4€😀é");
			assert.equal(await eio.text(sid), "200 4€😀é");
		});

		test("stray 0, 3, 5 and 6 are ignored", async () => {
			const { sid } = await eio.handshake();
			assert.equal((await eio.post(sid, `0${RS}3${RS}5${RS}6${RS}4x`)).status, 200);
			assert.equal(await eio.text(sid), "200 4x");
		});
	});

	describe("bad packet", () => {
		for (const [name, body] of [["letters", "abc"], ["an empty body", ""], ["a trailing separator", `4a${RS}`],
			["a plain ping", "2"], ["bad base64", "b!!"], ["invalid UTF-8", Buffer.from([0x34, 0xff])]])
			test(`polling: ${name} ends the session`, async () => {
				const { sid } = await eio.handshake();
				assert.equal((await eio.post(sid, body)).status, 400);
				await handshakeIsOver(sid);
			});

		test("polling: packets before it are delivered, and a held GET ends", async () => {
			const { sid } = await eio.handshake();
			const held = eio.text(sid);
			await pause(30);
			assert.equal((await eio.post(sid, "abc")).status, 400);
			assert.equal(await held, "200 1");
		});

		test("polling: octet-stream ends the session", async () => {
			const { sid } = await eio.handshake();
			const res = await eio.post(sid, Buffer.from([1, 2]), { headers: { "content-type": "application/octet-stream" } });
			assert.equal(res.status, 400);
			assert.notEqual((await eio.post(sid, "4x")).status, 200);
		});

		test("polling: other methods", async () => {
			const { sid } = await eio.handshake();
			assert.equal((await fetch(eio.url({ transport: "polling", sid }), { method: "DELETE" })).status, 400);
			assert.equal((await eio.post(sid, "4x")).status, 200);
		});

		for (const packet of ["abc", "2", "7", ""])
			test(`websocket: ${JSON.stringify(packet)} closes`, async () => {
				const ws = await eio.open();
				ws.send(packet);
				assert.equal(await within(ws.closed, PATIENCE, "close"), 1005);
				await handshakeIsOver(ws.session.sid);
			});

		test("websocket: base64 is for polling", async () => {
			const ws = await eio.open();
			ws.send("bAQID");
			await within(ws.closed, PATIENCE, "close");
		});
	});

	describe("maxPayload", () => {
		test("polling: exactly is accepted", async () => {
			const { sid } = await eio.handshake();
			const body = `4${"x".repeat(PAYLOAD - 1)}`;
			assert.equal((await eio.post(sid, body)).status, 200);
			assert.equal(await eio.text(sid), `200 ${body}`);
		});

		test("polling: over it is 413 and the session lives", async () => {
			const { sid } = await eio.handshake();
			assert.equal((await eio.post(sid, `4${"x".repeat(PAYLOAD)}`)).status, 413);
			assert.equal((await eio.post(sid, "4still here")).status, 200);
			assert.equal(await eio.text(sid), "200 4still here");
		});

		test("websocket: exactly is accepted", async () => {
			const ws = await eio.open();
			ws.send(`4${"x".repeat(PAYLOAD - 1)}`);
			assert.equal((await ws.next()).length, PAYLOAD);
			const bytes = Buffer.alloc(PAYLOAD, 7);
			ws.send(bytes);
			for (let frame; !bytes.equals(Buffer.from(frame ??= await ws.next()));)
				frame = undefined;
			ws.close();
		});

		test("websocket: over it closes with 1009", async () => {
			const ws = await eio.open();
			ws.send(`4${"x".repeat(PAYLOAD)}`);
			assert.equal(await ws.closed, 1009);
		});

		test("websocket: a fragmented message over it closes with 1009", async () => {
			const ws = await eio.open();
			for (let i = 0; i < 11; i++)
				ws.send("4".repeat(100_000), { fin: false });
			assert.equal(await ws.closed, 1009);
		});
	});

	describe("two GETs at once", () => {
		test("the first gets 1, the second 400, the session is gone", async () => {
			const { sid } = await eio.handshake();
			const first = eio.text(sid);
			await pause(30);
			await assertError(await eio.get(sid), 3);
			assert.equal(await first, "200 1");
			await handshakeIsOver(sid);
		});
	});

	describe("heartbeat", () => {
		const BEAT = 500, GRACE = 1500;
		let beating, eio;

		before(async () => {
			beating = await startRig({ redis: false, env: { SOCKET_PING_INTERVAL: String(BEAT), SOCKET_PING_TIMEOUT: String(GRACE) } });
			eio = hands(beating, "/engine.io/");
		});
		after(() => beating.stop());

		test("polling: three rounds", async () => {
			const { sid } = await eio.handshake();
			for (let i = 0; i < 3; i++) {
				const before = Date.now();
				assert.equal(await eio.text(sid), "200 2");
				assert.ok(Date.now() - before > BEAT - 50);
				assert.equal((await eio.post(sid, "3")).status, 200);
			}
		});

		test("polling: a GET after the handshake's interval and timeout, without pong, is too late", async () => {
			const { sid } = await eio.handshake();
			await pause(BEAT + GRACE);
			await assertError(await eio.get(sid), 1);
		});

		test("polling: without a GET the ping waits, and the pong is still due", async () => {
			const { sid } = await eio.handshake();
			await pause(BEAT + 20);
			assert.equal(await eio.text(sid), "200 2");
			await pause(GRACE + 30);
			await assertError(await eio.get(sid), 1);
		});

		test("websocket: three rounds", async () => {
			const ws = await eio.open();
			for (let i = 0; i < 3; i++) {
				assert.equal(await within(ws.next(), PATIENCE, "ping"), "2");
				ws.send("3");
			}
			ws.close();
		});

		test("websocket: without pong it closes", async () => {
			const ws = await eio.open();
			await within(ws.closed, PATIENCE, "close");
		});

		test("a stray pong is ignored and does not postpone the ping", async () => {
			const pinged = [];
			const begin = async (name) => {
				const ws = await eio.open();
				ws.first = ws.next().then((frame) => pinged.push(`${name} ${frame}`));
				return ws;
			};
			const strayed = await begin("strayed");
			for (let i = 0; i < 5; i++) {
				await pause(BEAT / 10);
				strayed.send("3");
			}
			const later = await begin("opened after its last pong");	// whose ping is due when a postponed one would be
			await Promise.all([strayed.first, later.first]);
			assert.deepEqual(pinged, ["strayed 2", "opened after its last pong 2"]);
			strayed.close();
			later.close();
		});
	});

	describe("close", () => {
		test("polling: POST 1 ends the held GET with 6", async () => {
			const { sid } = await eio.handshake();
			const [text, res] = await Promise.all([eio.text(sid), pause(20).then(() => eio.post(sid, "1"))]);
			assert.equal(text, "200 6");
			assert.equal(res.status, 200);
			await handshakeIsOver(sid);
		});

		test("websocket: closing it ends the session", async () => {
			const ws = await eio.open();
			ws.close();
			await ws.closed;
			await becomesOver(ws.session.sid);
		});

		test("websocket: a close frame is answered with its code", async () => {
			const ws = await eio.open();
			ws.close(1000);
			assert.equal(await ws.closed, 1000);
		});

		test("websocket: a lost connection ends the session", async () => {
			const ws = await eio.open();
			ws.terminate();
			await becomesOver(ws.session.sid);
		});
	});

	describe("upgrade", () => {
		async function upgraded() {
			const { sid } = await eio.handshake();
			const held = eio.text(sid);
			const ws = await eio.open({ sid });
			ws.send("2probe");
			assert.equal(await ws.next(), "3probe");
			assert.equal(await within(held, PATIENCE, "the held GET"), "200 6");
			ws.send("5");
			return { ws, sid };
		}

		test("moves all traffic to the WebSocket", async () => {
			const { ws, sid } = await upgraded();
			ws.send("4hello");
			assert.equal(await ws.next(), "4hello");
			ws.send(Buffer.from([1, 2, 3]));
			assert.deepEqual(await ws.next(), Buffer.from([1, 2, 3]));
			await assertError(await eio.get(sid), 3);
			await assertError(await eio.post(sid, "4x"), 3);
			ws.send("4still here");
			assert.equal(await ws.next(), "4still here");
			ws.close();
		});

		test("a GET is not held any more after the probe", async () => {
			const { sid } = await eio.handshake();
			const ws = await eio.open({ sid });
			ws.send("2probe");
			await ws.next();
			assert.equal(await within(eio.text(sid), PATIENCE, "the GET"), "200 6");
			assert.equal((await eio.post(sid, "4by post")).status, 200);
			assert.equal(await eio.text(sid), "200 4by post");
			ws.close();
		});

		test("2probe and 5 at once", async () => {
			const { sid } = await eio.handshake();
			const held = eio.text(sid);
			await pause(20);
			const ws = await eio.open({ sid });
			ws.send("2probe");
			ws.send("5");
			ws.send("4x");
			assert.equal(await ws.next(), "3probe");
			assert.equal(await ws.next(), "4x");
			assert.equal(await held, "200 6");
			ws.close();
		});

		test("a WebSocket that does not begin with 2probe is closed, polling lives", async () => {
			const { sid } = await eio.handshake();
			for (const first of ["4hello", "5", "2"]) {
				const ws = await eio.open({ sid });
				ws.send(first);
				await within(ws.closed, PATIENCE, "close");
			}
			await eio.post(sid, "4x");
			assert.equal(await eio.text(sid), "200 4x");
		});

		test("a second one that probes is closed, the first goes on", async () => {
			const { sid } = await eio.handshake();
			const first = await eio.open({ sid });
			const second = await eio.open({ sid });
			await within(second.closed, PATIENCE, "close");
			first.send("2probe");
			assert.equal(await first.next(), "3probe");
			first.send("5");
			first.send("4x");
			assert.equal(await first.next(), "4x");
			first.close();
		});

		test("a second one after the upgrade is closed, the first lives on", async () => {
			const { ws, sid } = await upgraded();
			const second = await eio.open({ sid });
			await within(second.closed, PATIENCE, "close");
			ws.send("4x");
			assert.equal(await ws.next(), "4x");
			ws.close();
		});

		test("a probe that is lost leaves polling alive", async () => {
			const { sid } = await eio.handshake();
			const ws = await eio.open({ sid });
			ws.send("2probe");
			await ws.next();
			ws.terminate();
			await pause(30);
			const held = eio.text(sid);
			await pause(30);
			await eio.post(sid, "4x");
			assert.equal(await held, "200 4x");
		});

		test("nothing is lost, doubled or reordered", async () => {
			for (let round = 0; round < 20; round++) {
				const { sid } = await eio.handshake();
				const got = [];
				let n = 0;
				const post = () => eio.post(sid, Array.from({ length: 5 }, () => `4${n++}`).join(RS));
				const take = (payload) => got.push(...payload.split(RS).filter((p) => p[0] === "4").map((p) => Number(p.slice(1))));
				await post();
				const ws = await eio.open({ sid });
				ws.send("2probe");
				const reading = (async () => {
					for (let payload; (payload = await (await eio.get(sid)).text()) !== "6";)
						take(payload);
				})();
				await ws.next();
				await post();
				await reading;
				await post();
				ws.send("5");
				for (let i = 0; i < 5; i++)
					ws.send(`4${n++}`);
				while (got.length < n)
					take(await ws.next());
				assert.deepEqual(got, Array.from({ length: n }, (_, i) => i));
				ws.close();
			}
		});
	});

	describe("frames", () => {
		test("text and binary come back, in order", async () => {
			const ws = await eio.open();
			ws.send("4one");
			ws.send(Buffer.from([1]));
			ws.send("4");
			ws.send(Buffer.alloc(0));
			ws.send(`4${"y".repeat(70000)}`);
			assert.deepEqual([await ws.next(), await ws.next(), await ws.next(), await ws.next(), (await ws.next()).length],
				["4one", Buffer.from([1]), "4", Buffer.alloc(0), 70001]);
			ws.close();
		});

		test("a fragmented message, with a ping in between", async () => {
			const ws = await eio.open();
			const pong = new Promise((resolve) => ws.once("pong", (data) => resolve(String(data))));
			ws.send("4hel", { fin: false });
			await pause(20);
			ws.ping("are you there");
			assert.equal(await pong, "are you there");
			ws.send("lo", { fin: true });
			assert.equal(await ws.next(), "4hello");
			ws.close();
		});

		// A raw connection after the handshake; gives what comes back until the end.
		async function rawFrames(bytes, pieces = 1) {
			return new Promise((resolve) => {
				const socket = net.connect(path.join(rig.dir, "echo-ws.sock"));
				let head = "";
				const chunks = [];
				socket.write("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
					"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
				socket.on("data", async (data) => {
					if (head) {
						chunks.push(data);
						return;
					}
					head = String(data);
					for (let i = 0; i < pieces; i++) {
						socket.write(bytes.subarray(Math.floor(i * bytes.length / pieces), Math.floor((i + 1) * bytes.length / pieces)));
						if (pieces > 1)
							await pause(1);
					}
				});
				socket.on("close", () => resolve({ head, bytes: Buffer.concat(chunks) })).on("error", () => {});
			});
		}
		const masked = (opcode, payload, first = 0x80) => Buffer.concat([Buffer.from([first | opcode, 0x80 | payload.length, 0, 0, 0, 0]), Buffer.from(payload)]);
		test("the accept key is the standard's example", async () => {
			const { head } = await rawFrames(masked(8, ""));
			assert.match(head, /^HTTP\/1.1 101 /);
			assert.match(head, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
		});

		test("one byte at a time", async () => {
			const { bytes } = await rawFrames(Buffer.concat([masked(1, "4ab"), masked(2, "xyz"), masked(9, "p"), masked(8, "")]), 40);
			assert.ok(bytes.includes(Buffer.from("\x81\x034ab", "latin1")));
			assert.ok(bytes.includes(Buffer.from("\x82\x03xyz", "latin1")));
			assert.ok(bytes.includes(Buffer.from("\x8a\x01p", "latin1")));
		});

		for (const [name, bytes, code] of [
			["not masked", Buffer.from("\x81\x024x", "latin1"), 1002],
			["a reserved bit", masked(1, "4x", 0xc0), 1002],
			["an unknown opcode", masked(3, "4x"), 1002],
			["a continuation of nothing", masked(0, "4x"), 1002],
			["a long ping", Buffer.from("\x89\xfe\x00\x7e\0\0\0\0", "latin1"), 1002],
			["invalid UTF-8", masked(1, Buffer.from([0x34, 0xff])), 1007],
			["a length of 2^62", Buffer.from("\x82\xff\x40\0\0\0\0\0\0\0\0\0\0\0x", "latin1"), 1009],
		])
			test(`${name} closes with ${code}`, async () => {
				const { bytes: got } = await rawFrames(bytes);
				assert.equal(got.at(-4), 0x88, "no close frame");
				assert.equal(got.readUInt16BE(got.length - 2), code);
			});
	});

	test("answers keep coming under ten thousand half-open sockets", async () => {
		const start = cpuTicks(rig.pid("echo"));
		const sockets = [];
		let closed = 0;
		for (let i = 0; i < 10_000; i++) {
			const socket = net.connect(path.join(rig.dir, "echo-ws.sock"), () => socket.write(i % 2 ? "GET /engine.io/?EIO=4" : ""));
			socket.on("error", () => {}).on("close", () => { closed++; }).resume();
			sockets.push(socket);
			if (i % 500 === 0)
				await new Promise((resolve) => { setImmediate(resolve); });
		}
		const { sid } = await eio.handshake();
		await eio.post(sid, "4x");
		assert.equal(await eio.text(sid), "200 4x");
		const ws = await eio.open();
		ws.send("4y");
		assert.equal(await ws.next(), "4y");
		ws.close();
		const busy = cpuTicks(rig.pid("echo"));
		await pause(2000);
		assert.ok(cpuTicks(rig.pid("echo")) - busy <= 40, "the daemon spins");
		for (let i = 0; closed < 10_000 && i < 150; i++)
			await pause(100);
		assert.equal(closed, 10_000, "the handshake's deadline");
		assert.ok(busy >= start);
	});
});

describe("origins", () => {
	const shop = "https://shop.example";

	async function checks(frontend, verify) {
		const rig = await startRig({ redis: false, env: { FRONTEND_URL: frontend } });
		try {
			await verify(hands(rig, "/engine.io/"), rig);
		} finally {
			await rig.stop();
		}
	}
	const from = (origin) => ({ headers: { origin } });
	const ws = (eio, origin) => eio.upgrade({ EIO: "4", transport: "websocket" }, from(origin));

	test("without a list only our own", () => checks("", async (eio, rig) => {
		const own = await eio.get(undefined, from(rig.url));
		assert.equal(own.status, 200);
		assert.equal(own.headers.get("access-control-allow-origin"), null);
		await assertError(await eio.get(undefined, from(shop)), 4, 403);
		assert.equal((await fetch(eio.url({ transport: "polling" }), { method: "OPTIONS", ...from(shop) })).status, 403);
		assert.equal((await ws(eio, rig.url)).status, 101);
		const refused = await ws(eio, shop);
		assert.deepEqual([refused.status, refused.type, refused.body], [403, "text/html", "Forbidden"]);
		assert.equal((await ws(eio, "null")).status, 403);
	}));

	test("with a list, those on it", () => checks(`https://a.example, ${shop}`, async (eio, rig) => {
		const res = await eio.get(undefined, from(shop));
		assert.equal(res.status, 200);
		assert.equal(res.headers.get("access-control-allow-origin"), shop);
		assert.equal(res.headers.get("access-control-allow-credentials"), "true");
		assert.equal(res.headers.get("vary"), "Origin");
		const bad = await fetch(eio.url({ transport: "abc" }), from(shop));
		assert.equal(bad.status, 400);
		assert.equal(bad.headers.get("access-control-allow-origin"), shop);
		const preflight = await fetch(eio.url({ transport: "polling" }), { method: "OPTIONS",
			headers: { origin: shop, "access-control-request-method": "POST", "access-control-request-headers": "x-a, x-b" } });
		assert.equal(preflight.status, 204);
		assert.equal(preflight.headers.get("access-control-allow-methods"), "GET,HEAD,PUT,PATCH,POST,DELETE");
		assert.equal(preflight.headers.get("access-control-allow-headers"), "x-a, x-b");
		assert.equal((await ws(eio, shop)).status, 101);
		assert.equal((await ws(eio, `${shop}.evil.example`)).status, 403);
		await assertError(await eio.get(undefined, from("https://evil.example")), 4, 403);
		assert.equal((await ws(eio, rig.url)).status, 101);
	}));

	test("with *, all, without credentials", () => checks("*", async (eio) => {
		const res = await eio.get(undefined, from(shop));
		assert.equal(res.headers.get("access-control-allow-origin"), shop);
		assert.equal(res.headers.get("access-control-allow-credentials"), null);
		assert.equal((await ws(eio, "https://evil.example")).status, 101);
	}));
});

describe("limits", () => {
	test("MAX_SOCKETS: one more gets 503, and there is room again", async () => {
		const rig = await startRig({ redis: false, env: { MAX_SOCKETS: "3" } });
		const eio = hands(rig, "/engine.io/");
		try {
			const open = [await eio.open(), await eio.open(), await eio.open()];
			const res = await eio.get();
			assert.equal(res.status, 503);
			assert.equal(res.headers.get("retry-after"), "1");
			assert.equal((await eio.upgrade({ EIO: "4", transport: "websocket" })).status, 503);
			open[0].close();
			for (const start = Date.now(); (await eio.get()).status !== 200;)
				assert.ok(Date.now() - start < PATIENCE, "there is no room");
			for (const one of open)
				one.close();
		} finally {
			await rig.stop();
		}
	});

	test("a reader that does not read is closed, and costs a bounded amount of memory", async () => {
		const rig = await startRig({ redis: false, env: { SOCKET_PING_INTERVAL: "60000" } });
		const eio = hands(rig, "/engine.io/");
		const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${rig.pid("echo")}/status`, "utf8"))[1]);
		try {
			const ws = await eio.open();
			const before = rss();
			ws._socket.pause();
			for (let i = 0; i < 200 && ws.readyState === 1; i++) {
				ws.send(`4${"x".repeat(100_000)}`);
				await pause(2);
			}
			await endsSoon(eio, ws.session.sid);
			assert.ok(rss() - before < 30_000, `${rss() - before} KB more`);
			ws.terminate();
		} finally {
			await rig.stop();
		}
	});
});

describe("Socket.IO", () => {
	let rig, sio;

	before(async () => {
		rig = await startRig();
		sio = hands(rig, "/socket.io/");
	});
	after(() => rig.stop());

	// A WebSocket that is joined to "/", behind the auth event.
	async function joined() {
		const ws = await sio.open();
		ws.send("40");
		assert.match(await ws.next(), /^40\{"sid":"[\w-]{20,}"\}$/);
		assert.equal(await ws.next(), "42[\"auth\",{}]");
		return ws;
	}
	async function closes(ws, ...frames) {
		for (const frame of frames)
			ws.send(frame);
		await within(ws.closed, PATIENCE, "close");
	}

	describe("connect", () => {
		for (const [name, packet, answer, auth] of [
			["40", "40", /^40\{"sid":"[\w-]{20,}"\}$/, "42[\"auth\",{}]"],
			["40 with auth", "40{\"token\":\"123\"}", /^40\{"sid":"[\w-]{20,}"\}$/, "42[\"auth\",{\"token\":\"123\"}]"],
			["40/custom,", "40/custom,", /^40\/custom,\{"sid":"[\w-]{20,}"\}$/, "42/custom,[\"auth\",{}]"],
			["40/custom", "40/custom", /^40\/custom,\{"sid":"[\w-]{20,}"\}$/, "42/custom,[\"auth\",{}]"],
			["40/custom with auth", "40/custom,{\"token\":\"abc\"}", /^40\/custom,\{"sid":"[\w-]{20,}"\}$/, "42/custom,[\"auth\",{\"token\":\"abc\"}]"],
		])
			test(name, async () => {
				const ws = await sio.open();
				ws.send(packet);
				assert.match(await ws.next(), answer);
				assert.equal(await ws.next(), auth);
				ws.close();
			});

		test("the public sid is not the session's", async () => {
			const ws = await sio.open();
			ws.send("40");
			assert.notEqual(JSON.parse((await ws.next()).slice(2)).sid, ws.session.sid);
			ws.close();
		});

		test("over polling", async () => {
			const { sid } = await sio.handshake();
			await sio.post(sid, "40{\"a\":1}");
			let text = (await sio.text(sid)).slice(4);
			if (!text.includes(RS))
				text += RS + (await sio.text(sid)).slice(4);
			const [answer, auth] = text.split(RS);
			assert.match(answer, /^40\{"sid":"[\w-]{20,}"\}$/);
			assert.equal(auth, "42[\"auth\",{\"a\":1}]");
		});

		test("another namespace is refused byte for byte, the connection stays", async () => {
			const ws = await sio.open();
			ws.send("40/random");
			assert.equal(await ws.next(), "44/random,{\"message\":\"Invalid namespace\"}");
			ws.send("40/random?x=1,");
			assert.equal(await ws.next(), "44/random?x=1,{\"message\":\"Invalid namespace\"}");
			ws.send("40");
			assert.match(await ws.next(), /^40\{/);
			ws.close();
		});

		test("a refusal by status names its code, the connection stays", async () => {
			const ws = await sio.open();
			ws.send("40/refused,");
			assert.equal(await ws.next(), "44/refused,{\"message\":\"It failed on purpose\",\"data\":{\"code\":\"forbidden\"}}");
			ws.close();
		});

		test("without joining anything it is closed after connectTimeout", async () => {
			const hasty = await startRig({ env: { SOCKET_CONNECT_TIMEOUT: "1000" } });
			try {
				const start = Date.now();
				const ws = await hands(hasty, "/socket.io/").open();
				await within(ws.closed, PATIENCE, "close");
				assert.ok(Date.now() - start >= 1000);
			} finally {
				await hasty.stop();
			}
		});

		test("two namespaces at once", async () => {
			const ws = await sio.open();
			ws.send("40");
			ws.send("40/custom,");
			const got = [await ws.next(), await ws.next(), await ws.next(), await ws.next()];
			assert.equal(got.filter((f) => f.startsWith("40/custom,")).length, 1);
			assert.equal(got.filter((f) => f.startsWith("40{")).length, 1);
			ws.close();
		});

		for (const [name, ...frames] of [
			["a second connect to a joined namespace", "40"],
			["an event for a namespace not joined", "42/custom,[\"message\"]"],
			["an acknowledgement for a namespace not joined", "43/custom,1[]"],
			["CONNECT_ERROR from a client", "44{\"message\":\"x\"}"],
		])
			test(`${name} closes the engine`, async () => closes(await joined(), ...frames));

		test("more namespaces than anybody needs close the engine", async () => {
			const ws = await sio.open();
			for (let i = 0; i < 200; i++)
				ws.send(`40/n${i},`);
			await within(ws.closed, PATIENCE, "close");
		});
	});

	describe("disconnect", () => {
		test("41 is not answered and the connection stays", async () => {
			const ws = await joined();
			ws.send("41");
			ws.send("40/custom,");
			assert.match(await ws.next(), /^40\/custom,/);
			assert.equal(await ws.next(), "42/custom,[\"auth\",{}]");
			ws.close();
		});

		test("the namespace can be joined again", async () => {
			const ws = await joined();
			ws.send("41");
			ws.send("40");
			assert.match(await ws.next(), /^40\{/);
			assert.equal(await ws.next(), "42[\"auth\",{}]");
			ws.close();
		});
	});

	describe("events and acknowledgements", () => {
		const bytes = [
			["1,\"2\",{\"3\":[true]}"], ["{\"z\":1,\"a\":2}"], ["1.0,1e3,-0,12345678901234567890"], ["\"\\u0000\\ud83d\\/\""], ["[ 1 , 2 ]"], ["\"€😀\""],
		];
		for (const [args] of bytes)
			test(`message with ${args} comes back byte for byte`, async () => {
				const ws = await joined();
				ws.send(`42["message",${args}]`);
				assert.equal(await ws.next(), `42["message-back",${args}]`);
				ws.close();
			});

		test("message without arguments", async () => {
			const ws = await joined();
			ws.send("42[\"message\"]");
			assert.equal(await ws.next(), "42[\"message-back\"]");
			ws.close();
		});

		test("acknowledgement", async () => {
			const ws = await joined();
			ws.send("42456[\"message-with-ack\",1,\"2\",{\"3\":[false]}]");
			assert.equal(await ws.next(), "43456[1,\"2\",{\"3\":[false]}]");
			ws.send("420[\"message-with-ack\"]");
			assert.equal(await ws.next(), "430[]");
			ws.close();
		});

		test("unknown acknowledgements, unknown events and events without arguments are ignored", async () => {
			const ws = await joined();
			ws.send("4399[1]");
			ws.send("42[\"nobody listens\"]");
			ws.send("42");
			ws.send("42[\"message\",1]");
			assert.equal(await ws.next(), "42[\"message-back\",1]");
			ws.close();
		});

		test("a hundred events in order", async () => {
			const ws = await joined();
			for (let i = 0; i < 50; i++)
				ws.send(`42["message",${i}]`);
			for (let i = 0; i < 50; i++)
				assert.equal(await ws.next(), `42["message-back",${i}]`);
			ws.close();
		});

		test("a slow event holds up the next one of its socket and nobody else", async () => {
			const [a, b] = [await joined(), await joined()];
			a.send("42[\"slow\",1000,1]");
			a.send("42[\"message\",2]");
			b.send("42[\"message\",3]");
			assert.equal(await within(b.next(), PATIENCE, "the other socket"), "42[\"message-back\",3]");
			assert.deepEqual(a.frames, []);
			assert.equal(await a.next(), "42[\"slow-done\",1]");
			assert.equal(await a.next(), "42[\"message-back\",2]");
			a.close();
			b.close();
		});

		test("state comes back with the next event", async () => {
			const ws = await joined();
			for (let i = 1; i <= 3; i++) {
				ws.send(`42${i}["count"]`);
				assert.equal(await ws.next(), `43${i}[${i}]`);
			}
			ws.close();
		});

		test("the client's address reaches the handler", async () => {
			const ws = await joined();
			ws.send("421[\"address\"]");
			assert.equal(await ws.next(), "431[\"127.0.0.1\"]");
			ws.close();
		});

		test("a failure becomes an error event that names the message, and an acknowledgement", async () => {
			const ws = await joined();
			ws.send("427[\"fail\",400]");
			assert.equal(await ws.next(), "42[\"error\",{\"message\":\"It failed on purpose\",\"code\":\"on_purpose\"}]");
			assert.equal(await ws.next(), "437[{\"ok\":false,\"error\":\"It failed on purpose\",\"code\":\"on_purpose\"}]");
			ws.send("42[\"fail\",422]");
			assert.match(await ws.next(), /^42\["error",/);
			ws.send("42[{},1]".replace("{}", "\"fail\"").replace("1", "{\"clientMessageId\":\"c-\\\"1\"}"));
			await ws.next();
			ws.close();
		});

		test("an error names the event's clientMessageId", async () => {
			const ws = await joined();
			ws.send(`428["fail",{"clientMessageId":"c-1","x":"${"y".repeat(10)}"}]`);
			assert.match(await ws.next(), /^42\["error",\{.*"clientMessageId":"c-1"\}\]$/);
			ws.close();
		});

		test("too many at once get an error, those before it are answered", async () => {
			const ws = await joined();
			ws.send("42[\"slow\",1500,0]");
			for (let i = 0; i < 100; i++)
				ws.send(`42${i}["message-with-ack",${i}]`);
			let acks = 0;
			let errors = 0;
			let refused = 0;
			while (acks + refused < 100) {
				const frame = await ws.next();
				if (/^43\d+\[\{"ok":false,.*"code":"too_many_requests"\}\]$/.test(frame))
					refused++;
				else if (/^43\d+\[\d+\]$/.test(frame))
					acks++;
				else if (frame.startsWith("42[\"error\""))
					errors++;
			}
			assert.equal(acks, 64);
			assert.equal(errors, 36);
			ws.close();
		});
	});

	describe("binary", () => {
		test("an event with two attachments comes back", async () => {
			const ws = await joined();
			ws.send("452-[\"message\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
			ws.send(Buffer.from([1, 2, 3]));
			ws.send(Buffer.from([4, 5, 6]));
			assert.equal(await ws.next(), "452-[\"message-back\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
			assert.deepEqual(await ws.next(), Buffer.from([1, 2, 3]));
			assert.deepEqual(await ws.next(), Buffer.from([4, 5, 6]));
			ws.close();
		});

		test("an acknowledgement with two attachments", async () => {
			const ws = await joined();
			ws.send("452-789[\"message-with-ack\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
			ws.send(Buffer.from([1, 2, 3]));
			ws.send(Buffer.from([4, 5, 6]));
			assert.equal(await ws.next(), "462-789[{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
			assert.deepEqual([await ws.next(), await ws.next()], [Buffer.from([1, 2, 3]), Buffer.from([4, 5, 6])]);
			ws.close();
		});

		for (const [name, ...frames] of [
			["text where an attachment should be", "451-[\"message\",{\"_placeholder\":true,\"num\":0}]", "42[\"message\"]"],
			["an attachment nobody announced", Buffer.from([1])],
			["eleven attachments", "4511-[\"message\"]"],
			["a placeholder that points nowhere", "451-[\"message\",{\"_placeholder\":true,\"num\":1}]", Buffer.from([1])],
		])
			test(`${name} closes`, async () => closes(await joined(), ...frames));
	});

	describe("invalid", () => {
		test("4abc first", async () => closes(await sio.open(), "4abc"));
		for (const packet of ["42{}", "42abc[\"message\"]", "42[]", "42[null]", "42[\"connect\"]", "42[\"message\"", "42[\"message\"]x", "41{}", "43{}",
			"47", "45[\"a\"]", "42[\"disconnecting\"]", "42[\"message\",\"\\x\"]", `42["message",${"[".repeat(100)}`])
			test(`${packet.slice(0, 40)} closes`, async () => closes(await joined(), packet));
		test("over polling it is 400", async () => {
			const { sid } = await sio.handshake();
			assert.equal((await sio.post(sid, "4abc")).status, 400);
			await assertError(await sio.get(sid), 1);
		});
	});

	describe("rooms", () => {
		let redis;
		before(() => { redis = redisClient(path.join(rig.dir, "redis.sock")); });
		after(() => redis.close());

		const append = (room, event) => redis.call("RPUSH", `log:${room}`, event);
		const publish = async (room, seq, events, { epoch = 0, except = "-" } = {}) => redis.call("PUBLISH", room, `${seq} ${epoch} ${except}\n${[].concat(events).join("\n")}`);
		async function say(room, event, options) {
			const seq = await append(room, event);
			await publish(room, seq, event, options);
			return Number(seq);
		}
		async function member(room, after = 0) {
			const ws = await joined();
			ws.send(`421["join","${room}",${after}]`);
			const got = [];
			for (let frame; !(frame = await ws.next()).startsWith("431");)
				got.push(frame);
			ws.history = got;
			return ws;
		}

		test("what is published reaches every member, in order, events line by line", async () => {
			const [a, b] = [await member("r1"), await member("r1")];
			await say("r1", "[\"x\",1]");
			await publish("r1", 0, ["[\"typing\",true]", "[\"typing\",false]"]);
			await say("r1", "[\"x\",2]");
			for (const ws of [a, b])
				assert.deepEqual([await ws.next(), await ws.next(), await ws.next(), await ws.next()],
					["42[\"x\",1]", "42[\"typing\",true]", "42[\"typing\",false]", "42[\"x\",2]"]);
			a.close();
			b.close();
		});

		test("who joins gets what came before, then what is live, nothing twice", async () => {
			await say("r2", "[\"x\",1]");
			await say("r2", "[\"x\",2]");
			const ws = await member("r2", 1);
			assert.deepEqual(ws.history, ["42[\"x\",2]"]);
			await publish("r2", 2, "[\"x\",2]");
			await say("r2", "[\"x\",3]");
			assert.equal(await ws.next(), "42[\"x\",3]");
			ws.close();
		});

		test("while joining, nothing is lost or doubled", async () => {
			const room = "r3";
			let going = true;
			const sent = (async () => {
				let n = 0;
				while (going)
					n = await say(room, `["x",${(n ?? 0) + 1}]`);
				return n;
			})();
			const sockets = await Promise.all(Array.from({ length: 10 }, () => member(room)));
			await pause(100);
			going = false;
			const last = await sent;
			for (const ws of sockets) {
				const got = ws.history;
				while (got.length < last)
					got.push(await within(ws.next(), PATIENCE, `message ${got.length + 1} of ${last}`));
				assert.deepEqual(got, Array.from({ length: last }, (_, i) => `42["x",${i + 1}]`));
				ws.close();
			}
		});

		test("a gap is filled before what is live goes on", async () => {
			const ws = await member("r4");
			await say("r4", "[\"x\",1]");
			await append("r4", "[\"x\",2]");
			await append("r4", "[\"x\",3]");
			await say("r4", "[\"x\",4]");
			await publish("r4", 0, "[\"typing\",true]");
			assert.deepEqual([await ws.next(), await ws.next(), await ws.next(), await ws.next(), await ws.next()],
				["42[\"x\",1]", "42[\"x\",2]", "42[\"x\",3]", "42[\"x\",4]", "42[\"typing\",true]"]);
			ws.close();
		});

		test("a lower epoch is dropped, the excepted socket gets all but the first", async () => {
			const a = await sio.open();
			a.send("40");
			const { sid } = JSON.parse((await a.next()).slice(2));
			await a.next();
			a.send("421[\"join\",\"r5\"]");
			await a.next();
			const b = await member("r5");
			await publish("r5", 0, "[\"delta\",1]", { epoch: 2 });
			await publish("r5", 0, "[\"delta\",2]", { epoch: 1 });
			await publish("r5", 0, ["[\"delta\",3]", "[\"delta\",4]"], { epoch: 2, except: sid });
			assert.deepEqual([await a.next(), await a.next()], ["42[\"delta\",1]", "42[\"delta\",4]"]);
			assert.deepEqual([await b.next(), await b.next(), await b.next()], ["42[\"delta\",1]", "42[\"delta\",3]", "42[\"delta\",4]"]);
			a.close();
			b.close();
		});

		test("what is not a publication is dropped", async () => {
			const ws = await member("r6");
			for (const payload of ["", "x", "1 2", "1 2 -\n{}", "1 2 -\n[\"x\"", "0 0 -\n[\"a\"]\nnonsense", "-1 0 -\n[\"x\"]", `0 0 -\n${"[]\n".repeat(100)}`])
				await redis.call("PUBLISH", "r6", payload);
			await publish("r6", 0, "[\"good\"]");
			assert.equal(await ws.next(), "42[\"good\"]");
			ws.close();
		});

		test("who left gets nothing more", async () => {
			const ws = await member("r7");
			ws.send("422[\"leave\",\"r7\"]");
			assert.equal(await ws.next(), "432[{\"ok\":true}]");
			await publish("r7", 0, "[\"x\"]");
			ws.send("42[\"message\",1]");
			assert.equal(await ws.next(), "42[\"message-back\",1]");
			ws.close();
		});

		test("leaving and joining again at once stays subscribed", async () => {
			const ws = await member("r8");
			for (let i = 0; i < 20; i++) {
				ws.send(`42["leave","r8"]`);
				ws.send(`42${i}["join","r8"]`);
			}
			for (let frame = ""; !frame.startsWith("4319");)
				frame = await ws.next();
			await publish("r8", 0, "[\"x\"]");
			assert.equal(await within(ws.next(), PATIENCE, "the event"), "42[\"x\"]");
			ws.close();
		});

		test("after Redis was away, what was missed comes first", async () => {
			const ws = await member("r9");
			await say("r9", "[\"x\",1]");
			assert.equal(await ws.next(), "42[\"x\",1]");
			await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
			await append("r9", "[\"x\",2]");
			assert.equal(await within(ws.next(), PATIENCE, "the replay"), "42[\"x\",2]");
			await say("r9", "[\"x\",3]");
			assert.equal(await ws.next(), "42[\"x\",3]");
			ws.close();
		});

		test("after a store with less has taken over, what is stored there is told under the same numbers", async () => {
			const ws = await member("r11");
			await say("r11", "[\"x\",1]");
			await say("r11", "[\"x\",\"lost\"]", { epoch: 3 });
			assert.deepEqual([await ws.next(), await ws.next()], ["42[\"x\",1]", "42[\"x\",\"lost\"]"]);
			await redis.call("RPOP", "log:r11");
			const replays = Number(await redis.call("GET", "log:replays"));
			await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
			await waitFor("it has looked", async () => Number(await redis.call("GET", "log:replays")) > replays);
			assert.equal(await say("r11", "[\"x\",2]"), 2);
			await publish("r11", 0, "[\"delta\",1]", { epoch: 1 });
			assert.deepEqual([await ws.next(), await ws.next()], ["42[\"x\",2]", "42[\"delta\",1]"]);
			ws.close();
		});

		test("the events program is told who left, with the rooms", async () => {
			const ws = await member("r10");
			ws.close();
			for (let told, late = Date.now() + PATIENCE; told !== "[\"r10\"]"; told = await redis.call("LPOP", "log:disconnects"))
				assert.ok(Date.now() < late, "it was not told");
		});
	});

	test("what a socket has said does not come back to it, also when it was cut off before that was published", async () => {
		const remembers = await startRig({ env: { SOCKET_RECOVERY: "60000" } });
		const redis = redisClient(path.join(remembers.dir, "redis.sock"));
		const sockets = hands(remembers, "/socket.io/");
		const say = async (event, except = "-") => redis.call("PUBLISH", "r1", `${await redis.call("RPUSH", "log:r1", event)} 0 ${except}\n${event}`);
		async function enter(auth) {
			const ws = await sockets.open();
			ws.send(`40${JSON.stringify(auth)}`);
			return ws;
		}
		try {
			const ws = await enter({});
			const { sid, pid } = JSON.parse((await ws.next()).slice(2));
			await ws.next();
			ws.send("421[\"join\",\"r1\"]");
			await ws.next();
			await say("[\"x\",1]");
			const [, , offset] = JSON.parse((await ws.next()).slice(2));
			ws.send("422[\"own\",2]");
			assert.equal(await ws.next(), "432[{\"ok\":true}]");
			ws.terminate();
			await waitFor("its leave-taking", () => redis.call("LPOP", "log:disconnects"));
			await say("[\"x\",2]", sid);
			await say("[\"x\",3]");
			const back = await enter({ pid, offset });
			assert.deepEqual(JSON.parse((await back.next()).slice(2)).slice(0, 2), ["x", 3]);
			assert.deepEqual(JSON.parse((await back.next()).slice(2)), { sid, pid });
			back.close();
		} finally {
			redis.close();
			await remembers.stop();
		}
	});

	describe("the events program away", () => {
		test("for a moment: the event is tried again and nothing is lost", async () => {
			const ws = await joined();
			await rig.stopOne("events", "SIGKILL");
			ws.send("421[\"message-with-ack\",1]");
			await pause(300);
			rig.startEvents();
			assert.equal(await within(ws.next(), PATIENCE, "the acknowledgement"), "431[1]");
			ws.close();
		});

		test("for connecting: the transport is closed, so that clients come back", async () => {
			const ws = await sio.open();
			ws.send("40/down,");
			assert.equal(await within(ws.closed, PATIENCE, "close"), 1005);
		});
	});
});

describe("socket.io-client", () => {
	let rig, redis;
	const open = [];

	before(async () => {
		rig = await startRig();
		redis = redisClient(path.join(rig.dir, "redis.sock"));
	});
	after(async () => {
		for (const socket of open)
			socket.disconnect();
		redis.close();
		await rig.stop();
	});

	const when = (socket, event) => within(new Promise((resolve) => socket.once(event, (...args) => resolve(args))), PATIENCE, event);
	async function client(options = {}, nsp = "") {
		const socket = io(rig.url + nsp, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, ...options });
		open.push(socket);
		await when(socket, "connect");
		return socket;
	}
	// One that is past its upgrade, if it has one: engine.io-client pauses its polling for that, and does not resume when the
	// WebSocket ends in this very moment, so that it notices with its next heartbeat only.
	async function upgraded(options) {
		const socket = await client(options);
		if (!options.transports && socket.io.engine.transport.name !== "websocket")
			await when(socket.io.engine, "upgrade");
		return socket;
	}
	const ways = { "polling then upgrade": {}, "WebSocket only": { transports: ["websocket"] }, "polling only": { transports: ["polling"] } };

	for (const [way, options] of Object.entries(ways))
		describe(way, () => {
			test("events, acknowledgements and namespaces", async () => {
				const socket = await client({ ...options, auth: { token: "t" } });
				socket.emit("message", 1, "2", { 3: ["4"] });
				assert.deepEqual(await when(socket, "message-back"), [1, "2", { 3: ["4"] }]);
				if (way === "polling then upgrade" && socket.io.engine.transport.name !== "websocket")
					await when(socket.io.engine, "upgrade");
				assert.equal(socket.io.engine.transport.name, way === "polling only" ? "polling" : "websocket");
				assert.deepEqual(await socket.timeout(PATIENCE).emitWithAck("message-with-ack", "x"), "x");
				const custom = await client(options, "/custom");
				custom.disconnect();
				const wrong = io(`${rig.url}/wrong`, { forceNew: true, ...options });
				open.push(wrong);
				const [failure] = await when(wrong, "connect_error");
				assert.equal(failure.message, "Invalid namespace");
				socket.disconnect();
			});

			test("ten attachments there and back", async () => {
				const socket = await client(options);
				const parts = Array.from({ length: 10 }, (_, i) => Buffer.alloc(1000 * i, i));
				socket.emit("message", ...parts);
				const back = await when(socket, "message-back");
				assert.equal(back.length, 10);
				back.forEach((part, i) => assert.deepEqual(Buffer.from(part), parts[i]));
				socket.disconnect();
			});

			test("a message near maxPayload comes back, one over it drops the connection and the client returns", async () => {
				const socket = await client(options);
				const big = "x".repeat(PAYLOAD - 100);
				assert.equal(await socket.timeout(PATIENCE).emitWithAck("message-with-ack", big), big);
				const gone = when(socket, "disconnect");
				socket.emit("message", "x".repeat(PAYLOAD + 1));
				await gone;
				await when(socket, "connect");
				assert.equal(await socket.timeout(PATIENCE).emitWithAck("message-with-ack", 1), 1);
				socket.disconnect();
			});

			test("a dropped connection: what was missed comes back by its number, once", async () => {
				const room = `recover-${way.length}`;
				const say = async (n) => redis.call("PUBLISH", room, `${await redis.call("RPUSH", `log:${room}`, `["x",${n}]`)} 0 -\n["x",${n}]`);
				const socket = io(rig.url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, ...options });
				open.push(socket);
				const got = [];
				const join = () => new Promise((resolve) => { socket.emit("join", room, got.length, resolve); });
				socket.on("x", (n) => got.push(n));
				await when(socket, "connect");
				await join();
				await say(1);
				while (got.length < 1)
					await pause(10);
				const back = when(socket, "connect");
				socket.io.engine.close();
				await say(2);
				await say(3);
				await back;
				await join();
				await say(4);
				while (got.length < 4)
					await pause(10);
				assert.deepEqual(got, [1, 2, 3, 4]);
				socket.disconnect();
			});

			test("reconnects after the daemon restarts", async () => {
				const socket = await upgraded(options);
				const gone = when(socket, "disconnect");
				await rig.stopPushd();
				await rig.startPushd();	// a poll that came in between waits in the socket for it
				const [reason] = await gone;
				assert.ok(["transport close", "transport error"].includes(reason), reason);
				await when(socket, "connect");
				assert.equal(await socket.timeout(PATIENCE).emitWithAck("message-with-ack", "again"), "again");
				socket.disconnect();
			});

			test("reconnects after the daemon was killed", async () => {
				const socket = await upgraded(options);
				const gone = when(socket, "disconnect");
				await rig.stopPushd("SIGKILL");
				await rig.startPushd();
				await gone;
				await when(socket, "connect");
				socket.disconnect();
			});
		});

	test("a refused foreign Origin is an error on WebSocket as well as on polling", async () => {
		for (const transports of [["polling"], ["websocket"]]) {
			const socket = io(rig.url, { forceNew: true, reconnection: false, transports, extraHeaders: { origin: "https://evil.example" } });
			open.push(socket);
			const [failure] = await when(socket, "connect_error");
			assert.ok(failure.message === "xhr poll error" || failure.message === "websocket error", failure.message);
		}
	});

	test("while the events program is down the client keeps trying and gets in", async () => {
		await rig.stopOne("events", "SIGKILL");
		const socket = io(rig.url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, transports: ["websocket"] });
		open.push(socket);
		await pause(300);
		rig.startEvents();
		await within(new Promise((resolve) => socket.once("connect", resolve)), PATIENCE, "connect");
		socket.disconnect();
	});
});
