// A small Socket.IO 5 client (Engine.IO 4) for our pages: one namespace, events with text and bytes, acknowledgements.
//
// Debian has no package of socket.io-client, and the page is built from Debian packages alone. It opens a WebSocket; where
// that cannot be had it long-polls. A connection that is lost is opened again, with growing pauses that differ from
// page to page. What is in flight then is rejected: the caller knows what to send again.

const RECORD = "\x1e";
const OPEN_MS = 5000;		// for a transport to open and the namespace to be joined
const PAUSE_MS = 400;		// before the first new attempt; doubles
const PAUSE_MAX_MS = 12000;
const WEBSOCKET_TRIES = 2;	// as often polling has to have helped out until it is tried first

export class SocketError extends Error {
	constructor(message, code = "connection_lost") {
		super(message);
		this.code = code;
	}
}

// ---- transports: packets in and out, closed(reason) once ----

function webSocketTransport({ url, WebSocket, packet, closed }) {
	const ws = new WebSocket(url.replace(/^http/, "ws") + "?EIO=4&transport=websocket");
	let over = false;
	const end = (reason) => {
		if (over)
			return;
		over = true;
		ws.close();
		closed(reason);
	};
	ws.binaryType = "arraybuffer";
	ws.onmessage = (event) => {
		if (!over)
			packet(event.data);
	};
	ws.onerror = () => end("websocket error");
	ws.onclose = () => end("websocket closed");
	return {
		name: "websocket",
		opened() {},
		send: (data) => {
			if (!over)
				ws.send(data);
		},
		waiting: () => ws.bufferedAmount,
		close: () => end("closed"),
	};
}

const toBase64 = (bytes) => btoa(Array.from(new Uint8Array(bytes), (b) => String.fromCharCode(b)).join(""));
const fromBase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;

function pollingTransport({ url, fetch, packet, closed }) {
	const abort = new AbortController();
	let address = url + "?EIO=4&transport=polling";
	let queue = [];
	let posting = false;
	let over = false;
	let count = 0;

	const end = (reason) => {
		if (over)
			return;
		over = true;
		abort.abort();
		closed(reason);
	};
	const call = async (options) => {
		const stamp = Date.now().toString(36) + "." + count++;
		const res = await fetch(address + "&t=" + stamp, { ...options, signal: abort.signal, cache: "no-store" });
		if (!res.ok)
			throw new Error("status " + res.status);
		return res.text();
	};
	const poll = async () => {
		while (!over) {
			const text = await call({});
			for (const one of text.split(RECORD))
				if (!over)
					packet(one[0] === "b" ? fromBase64(one.slice(1)) : one);
		}
	};
	const post = async () => {
		posting = true;
		while (queue.length > 0 && !over) {
			const body = queue.join(RECORD);
			queue = [];
			await call({ method: "POST", body, headers: { "content-type": "text/plain;charset=UTF-8" } });
		}
		posting = false;
	};
	poll().catch((error) => end("poll: " + error.message));
	return {
		name: "polling",
		opened: (sid) => { address += "&sid=" + encodeURIComponent(sid); },
		send: (data) => {
			queue.push(typeof data === "string" ? data : "b" + toBase64(data));
			if (!posting)
				post().catch((error) => end("post: " + error.message));
		},
		waiting: () => queue.reduce((sum, one) => sum + one.length, 0),
		close: () => end("closed"),
	};
}

// ---- the client ----

export class Socket {
	// on: { up(), down(), event(name, data) }
	constructor({ url, on, WebSocket = globalThis.WebSocket, fetch = (...args) => globalThis.fetch(...args), random = Math.random }) {
		Object.assign(this, { url, on, WebSocket, fetch, random });
		this.up = false;
		this.wanted = false;
		this.transport = null;
		this.attempt = 0;
		this.helped = 0;	// times that polling got through where a WebSocket did not
		this.polled = false;	// this attempt follows a WebSocket that failed
		this.acks = new Map();
		this.ackId = 0;
		this.timer = undefined;
	}

	open() {
		if (this.wanted)
			return;
		this.wanted = true;
		this._connect();
	}

	close() {
		this.wanted = false;
		clearTimeout(this.timer);
		if (this.transport)
			this.transport.close();
	}

	// Ends a pause between attempts.
	wake() {
		if (this.wanted && !this.transport) {
			clearTimeout(this.timer);
			this._connect();
		}
	}

	// Gives up a connection that seems dead, for a new one.
	restart() {
		if (this.transport)
			this.transport.close();
	}

	// Emits and gives the first argument of the acknowledgement; rejects with a SocketError.
	ask(name, data, ms) {
		if (!this.up)
			return Promise.reject(new SocketError("There is no connection"));
		return new Promise((resolve, reject) => {
			const id = this.ackId++;
			const timer = setTimeout(() => {
				this.acks.delete(id);
				reject(new SocketError("No acknowledgement came", "timeout"));
			}, ms);
			this.acks.set(id, { resolve, reject, timer });
			this.transport.send("42" + id + JSON.stringify([name, data]));
		});
	}

	// Emits an event with one object; or with bytes alone, of which those that cannot be sent are lost.
	emit(name, data) {
		if (this.up)
			this.transport.send("42" + JSON.stringify([name, data]));
	}

	emitBytes(name, bytes) {
		if (!this.up)
			return;
		this.transport.send("451-" + JSON.stringify([name, { _placeholder: true, num: 0 }]));
		this.transport.send(bytes);
	}

	// Bytes that wait to be sent.
	waiting() {
		return this.transport ? this.transport.waiting() : 0;
	}

	_connect() {
		const withWebSocket = Boolean(this.WebSocket) && this.helped < WEBSOCKET_TRIES && !this.polled;
		let transport = null;
		let lost = false;
		const options = {
			url: this.url, WebSocket: this.WebSocket, fetch: this.fetch,
			packet: (text) => {
				if (transport === this.transport)
					this._packet(text);
			},
			closed: () => {
				lost = true;
				if (transport && transport === this.transport)
					this._lost();
			},
		};
		try {
			transport = withWebSocket ? webSocketTransport(options) : pollingTransport(options);
		} catch (error) {
			lost = true;
		}
		this.transport = transport;
		if (lost)
			return this._lost();
		this._watch(OPEN_MS);
	}

	// The connection is dead if nothing that counts comes within ms.
	_watch(ms) {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.restart(), ms);
	}

	_lost() {
		const wasUp = this.up;
		const withWebSocket = this.transport && this.transport.name === "websocket";
		this.transport = null;
		this.partial = null;
		this.up = false;
		clearTimeout(this.timer);
		for (const { reject, timer } of this.acks.values()) {
			clearTimeout(timer);
			reject(new SocketError("The connection was lost"));
		}
		this.acks.clear();
		if (this.wanted) {
			// A WebSocket that never opened: perhaps something on the way refuses them.
			this.polled = !wasUp && Boolean(withWebSocket);
			this.timer = setTimeout(() => this._connect(), this.polled ? 0 : this._pause());
		}
		this.on.down(wasUp);
	}

	_pause() {
		const ms = Math.min(PAUSE_MS * 2 ** Math.min(this.attempt++, 8), PAUSE_MAX_MS);
		return ms * (0.5 + this.random());
	}

	_packet(text) {
		if (typeof text !== "string")
			return this._attachment(text);
		const rest = text.slice(1);
		switch (text[0]) {
		case "0":
			return this._opened(rest);
		case "2":
			this.transport.send("3" + rest);
			return this._watch(this.patience);
		case "4":
			return this._message(rest);
		case "1":
			return this.transport.close();
		}
	}

	_opened(text) {
		const about = parse(text) || {};
		this.patience = (Number(about.pingInterval) || 25000) + (Number(about.pingTimeout) || 20000);
		this.transport.opened(String(about.sid));
		this.transport.send("40");
	}

	_message(text) {
		const [, type, count, id, body] = /^(\d)(?:(\d+)-)?(\d*)(.*)$/s.exec(text) || [];
		if (type === "0")
			return this._joined();
		if (type === "1" || type === "4")
			return this.transport.close();
		const args = parse(body);
		if (!Array.isArray(args))
			return undefined;
		if (type === "2")
			return this.on.event(args[0], args[1]);
		if (type === "5")
			this.partial = { args, wanted: Number(count), bytes: [] };
		if (type === "3" && this.acks.has(Number(id))) {
			const { resolve, timer } = this.acks.get(Number(id));
			this.acks.delete(Number(id));
			clearTimeout(timer);
			resolve(args[0]);
		}
		return undefined;
	}

	// The bytes of an event, which came before them: they are members of its object.
	_attachment(bytes) {
		const p = this.partial;
		if (!p)
			return;
		p.bytes.push(bytes);
		if (p.bytes.length < p.wanted)
			return;
		this.partial = null;
		for (const [name, value] of Object.entries(p.args[1] || {}))
			if (value && value._placeholder)
				p.args[1][name] = p.bytes[value.num];
		this.on.event(p.args[0], p.args[1]);
	}

	_joined() {
		if (this.transport.name === "websocket")
			this.helped = 0;
		else if (this.polled)
			this.helped++;
		this.polled = false;
		this.attempt = 0;
		this.up = true;
		this._watch(this.patience);
		this.on.up();
	}
}

function parse(text) {
	try {
		return JSON.parse(text);
	} catch (error) {
		return undefined;
	}
}
