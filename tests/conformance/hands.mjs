// Raw Engine.IO and Socket.IO clients for the conformance tests: fetch, WebSocket and bytes.

import http from "node:http";
import net from "node:net";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
export const WebSocket = require("ws");

export const RS = "\x1e";

// One path of the rig: "/engine.io/" or "/socket.io/".
export function hands(rig, path) {
	const url = (query) => `${rig.url}${path}?${new URLSearchParams({ EIO: "4", ...query })}`;
	const me = {
		url,
		wsUrl: (query = {}) => url({ transport: "websocket", ...query }).replace("http", "ws"),
		get: (sid, more = {}) => fetch(url({ transport: "polling", ...(sid && { sid }) }), more),
		post: (sid, body, more = {}) => fetch(url({ transport: "polling", ...(sid && { sid }) }), { method: "POST", body, ...more }),
		async text(sid) {
			const res = await me.get(sid);
			return `${res.status} ${await res.text()}`;
		},
		async handshake(more) {
			const res = await me.get(undefined, more);
			const text = await res.text();
			return { res, text, ...(res.ok && JSON.parse(text.slice(1))) };
		},
		// A WebSocket whose frames are read one by one.
		socket(query = {}, options = {}) {
			const ws = new WebSocket(me.wsUrl(query), { perMessageDeflate: false, ...options });
			const frames = [];
			const waiting = [];
			ws.binaryType = "nodebuffer";
			ws.on("message", (data, binary) => {
				const frame = binary ? data : data.toString();
				if (waiting.length)
					waiting.shift()(frame);
				else
					frames.push(frame);
			});
			ws.closed = new Promise((resolve) => ws.once("close", (code) => {
				for (const give of waiting)
					give(undefined);
				resolve(code);
			}));
			ws.opened = new Promise((resolve, reject) => { ws.once("open", resolve); ws.once("error", reject); });
			ws.opened.catch(() => {});
			ws.on("error", () => {});
			ws.frames = frames;
			ws.next = () => new Promise((resolve) => {
				if (frames.length || ws.readyState > 1)
					resolve(frames.shift());
				else
					waiting.push(resolve);
			});
			return ws;
		},
		async open(query, options) {
			const ws = me.socket(query, options);
			await ws.opened;
			if (!query?.sid)
				ws.session = JSON.parse((await ws.next()).slice(1));
			return ws;
		},
		// How an upgrade is answered: { status, type, body }; 101 is closed at once.
		upgrade(query, { method = "GET", headers = {} } = {}) {
			const search = new URLSearchParams(query);
			return new Promise((resolve, reject) => {
				const req = http.request({
					host: "127.0.0.1", port: rig.port, path: `${path}?${search}`, method,
					headers: { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13",
						"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", ...headers },
				});
				req.on("upgrade", (res, socket) => { socket.destroy(); resolve({ status: 101, headers: res.headers }); });
				req.on("response", async (res) => {
					let body = "";
					for await (const chunk of res)
						body += chunk;
					resolve({ status: res.statusCode, type: res.headers["content-type"], body, headers: res.headers });
				});
				req.on("error", reject);
				req.end();
			});
		},
		// A GET on a connection of its own, which can be dropped.
		heldGet(sid) {
			const socket = net.connect(rig.port, "127.0.0.1");
			socket.write(`GET ${path}?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
			socket.on("error", () => {});
			return socket;
		},
	};
	return me;
}

// A Redis client of five lines.
export function redisClient(path) {
	const socket = net.connect(path);
	const waiting = [];
	let rest = "";
	socket.on("data", (data) => {
		rest += data;
		for (let m; (m = /^(?:[+:-]([^\r]*)\r\n|\$(-?\d+)\r\n)/.exec(rest));) {
			let value = m[1];
			let used = m[0].length;
			if (m[2] !== undefined) {
				const n = Number(m[2]);
				if (n >= 0 && rest.length < used + n + 2)
					return;
				value = n < 0 ? null : rest.slice(used, used + n);
				used += n < 0 ? 0 : n + 2;
			}
			rest = rest.slice(used);
			waiting.shift()(value);
		}
	});
	const call = (...args) => new Promise((resolve) => {
		waiting.push(resolve);
		socket.write(`*${args.length}\r\n${args.map((a) => `$${Buffer.byteLength(String(a))}\r\n${a}\r\n`).join("")}`);
	});
	return { call, close: () => socket.destroy() };
}
