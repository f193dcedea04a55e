// A private Helpline for one test file, and the hands to hold it with.
//
//	const stack = await startStack({ env: { MAX_CONVERSATION_HISTORY: "4" }, upstream });
//	after(() => stack.stop());
//
// It is started by the project's own ./run in a folder of its own, on a free port, with its own Redis and nginx, from
// the tree that is already built (HELPLINE_BUILD). It is stopped also when the test file fails or is killed.

import { spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, readFileSync, readdirSync, statSync, existsSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { record, recordFrom } from "./record.mjs";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
export const run = path.join(root, "run");

// Settings that a developer's own environment or .env must not change; limits are for the tests of limits.
const SETTINGS = {
	OPENAI_API_KEY: "", OPENAI_BASE_URL: "none", OPENAI_MODEL: "test-model", FALLBACK_API_KEY: "", FALLBACK_BASE_URL: "",
	GEMINI_API_KEY: "", REDIS_URL: "", REDIS_PASSWORD: "", KNOWLEDGE_PATH: "", ESCALATION_KEYWORDS: "",
	FRONTEND_URL: "", DAILY_SPEND_LIMIT: "", RATE_LIMITS: "off", APP_ENV: "test", LOG_LEVEL: "info",
	OPENAI_TTS_MODEL: "none",		// each answer would be one more request; tests of speech set it
};

const PASSED_ON = ["PATH", "HOME", "USER", "LANG", "TMPDIR", "HELPLINE_BUILD", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "XDG_RUNTIME_DIR"];

export function environment(more = {}) {
	const kept = Object.fromEntries(PASSED_ON.filter((k) => process.env[k] !== undefined).map((k) => [k, process.env[k]]));
	return { ...kept, ...SETTINGS, ...more };
}

export const upstreamEnv = (upstream, key = "sk-test-key-of-the-first") => ({ OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: key });

// ---- waiting -------------------------------------------------------------------------------------------------------

// How long anything may take that is not said to come within a time: a computer under load is slow.
export const PATIENCE_MS = 30_000;

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Asks until the answer is true-like, and gives it; the only way in which these tests wait for a state.
export async function waitFor(what, condition, { ms = PATIENCE_MS, every = 20 } = {}) {
	const late = Date.now() + ms;
	let failure;
	for (;;) {
		try {
			const value = await condition();
			if (value)
				return value;
			failure = undefined;
		} catch (error) {
			failure = error;
		}
		if (Date.now() > late)
			throw new Error(`${what}: not within ${ms} ms${failure ? `: ${failure.message}` : ""}`, { cause: failure });
		await pause(every);
	}
}

export const within = (promise, ms, what) => {
	let timer;
	return Promise.race([promise, new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
	})]).finally(() => clearTimeout(timer));
};

// ---- HTTP ----------------------------------------------------------------------------------------------------------

const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });

// One request; never throws for a status. body: undefined, a string or Buffer as it is, or anything else as JSON. fresh: not
// on a connection that was there before, which a server that is being replaced may just be closing.
export function request(base, method, target, { body, headers = {}, signal, socketPath, fresh = false } = {}) {
	const data = body === undefined || typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
	return new Promise((resolve, reject) => {
		const url = new URL(base);
		const req = http.request({
			host: url.hostname, port: url.port, method, path: target, agent: fresh ? false : socketPath ? undefined : agent, signal, socketPath,
			headers: {
				...(data !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(data) }),
				...headers,
			},
		}, (res) => {
			const chunks = [];
			res.on("data", (chunk) => chunks.push(chunk));
			res.on("error", reject);
			res.on("end", () => {
				const text = Buffer.concat(chunks).toString();
				let json;
				try {
					json = JSON.parse(text);
				} catch { /* not JSON */ }
				record(base, method, target, typeof data === "string" ? data : undefined, res.statusCode, res.headers, text);
				resolve({ status: res.statusCode, headers: res.headers, text, json });
			});
		});
		req.on("error", reject);
		req.end(data);
	});
}

// The bytes as they are, to a TCP port; gives what came back until the other side closed, or ms of silence.
export function rawRequest(base, bytes, { ms = 2000 } = {}) {
	const url = new URL(base);
	return new Promise((resolve) => {
		const socket = net.connect(Number(url.port), url.hostname);
		const chunks = [];
		const end = () => {
			socket.destroy();
			resolve(Buffer.concat(chunks).toString("latin1"));
		};
		socket.setTimeout(ms, end);
		socket.on("data", (chunk) => chunks.push(chunk));
		socket.on("error", end);
		socket.on("close", end);
		socket.write(bytes);
	});
}

// Server-sent events of one answer: { response: {status, headers}, events: async iterator, abort() }.
export function openStream(base, target, body, headers = {}) {
	const data = JSON.stringify(body);
	return new Promise((resolve, reject) => {
		const url = new URL(base);
		const req = http.request({
			host: url.hostname, port: url.port, method: "POST", path: target, agent: false,
			headers: { "content-type": "application/json", accept: "text/event-stream", "content-length": Buffer.byteLength(data), ...headers },
		}, (res) => {
			const whole = (text) => record(base, "POST", target, data, res.statusCode, res.headers, text);
			resolve({
				response: { status: res.statusCode, headers: res.headers },
				abort: () => req.destroy(),
				events: parseEvents(res, whole),
			});
		});
		req.on("error", reject);
		req.end(data);
	});
}

// whole is told all that came, unless the reader leaves before the end.
async function* parseEvents(res, whole) {
	let rest = "", text = "";
	res.setEncoding("utf8");
	for await (const chunk of res) {
		rest += chunk;
		text += chunk;
		for (let at; (at = rest.indexOf("\n\n")) >= 0; rest = rest.slice(at + 2)) {
			const event = { at: Date.now() };
			for (const line of rest.slice(0, at).split("\n")) {
				const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
				if (name === "data")
					event.data = event.data === undefined ? value : `${event.data}\n${value}`;
				else if (name)
					event[name] = value;
			}
			if (event.data !== undefined)
				yield { ...event, json: JSON.parse(event.data) };
		}
	}
	whole(text);
	assert.equal(rest.trim(), "", "the stream ends after a whole event");
}

// A failure as the contract wants it: RFC 9457, with the sentence also as error and as message; no version number.
export function assertProblem(res, status, sentence, what = "") {
	const about = `${what} answered ${res.status} ${res.text?.slice(0, 300)}`;
	if (Array.isArray(status))
		assert.ok(status.includes(res.status), about);
	else
		assert.equal(res.status, status, about);
	assert.match(res.headers["content-type"] ?? "", /^application\/problem\+json\b/, about);
	assert.equal(typeof res.json, "object", about);
	assert.equal(res.json.status, res.status, about);
	assert.ok(typeof res.json.title === "string" && res.json.title.length > 0, about);
	assert.ok(typeof res.json.error === "string" && res.json.error.length > 0, about);
	assert.equal(res.json.message, res.json.error, about);
	if (sentence instanceof RegExp)
		assert.match(res.json.error, sentence, about);
	else if (sentence)
		assert.equal(res.json.error, sentence, about);
	assert.doesNotMatch(res.text, /nginx|\d+\.\d+\.\d+/, about);
	assert.doesNotMatch(res.headers.server ?? "", /\d/, "no version in the header Server");
}

export const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

// ---- Redis ---------------------------------------------------------------------------------------------------------

// Just enough RESP for tests: commands as arrays of strings, answers as Buffers, numbers, null and arrays.
export class Redis {
	#rest = Buffer.alloc(0);
	#waiting = [];

	static async open(socketPath) {
		const redis = new Redis();
		redis.socket = net.connect(socketPath);
		redis.socket.on("data", (data) => redis.#read(data));
		redis.socket.on("error", () => {});
		redis.socket.on("close", () => redis.#waiting.splice(0).forEach((w) => w.reject(new Error("Redis closed the connection"))));
		await new Promise((resolve, reject) => {
			redis.socket.once("connect", resolve);
			redis.socket.once("error", reject);
		});
		return redis;
	}

	call(...args) {
		const head = `*${args.length}\r\n`;
		this.socket.write(Buffer.concat([Buffer.from(head), ...args.flatMap((a) => {
			const bytes = Buffer.isBuffer(a) ? a : Buffer.from(String(a));
			return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")];
		})]));
		return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
	}

	close() {
		this.socket.destroy();
	}

	#read(data) {
		this.#rest = Buffer.concat([this.#rest, data]);
		for (let found; this.#waiting.length > 0 && (found = parse(this.#rest, 0)); ) {
			this.#rest = this.#rest.subarray(found.end);
			const { resolve, reject } = this.#waiting.shift();
			if (found.value instanceof Error)
				reject(found.value);
			else
				resolve(found.value);
		}
	}
}

function parse(bytes, at) {
	const eol = bytes.indexOf("\r\n", at);
	if (eol < 0)
		return null;
	const type = String.fromCharCode(bytes[at]);
	const line = bytes.toString("utf8", at + 1, eol);
	const end = eol + 2;
	if (type === "+")
		return { value: line, end };
	if (type === "-")
		return { value: new Error(line), end };
	if (type === ":")
		return { value: Number(line), end };
	const n = Number(line);
	if (n < 0)
		return { value: null, end };
	if (type === "$")
		return bytes.length < end + n + 2 ? null : { value: bytes.subarray(end, end + n), end: end + n + 2 };
	const value = [];
	let next = end;
	for (let i = 0; i < n; i++) {
		const item = parse(bytes, next);
		if (!item)
			return null;
		value.push(item.value);
		next = item.end;
	}
	return { value, end: next };
}

// ---- Socket.IO -----------------------------------------------------------------------------------------------------

// A socket.io-client that forgets nothing: events wait in a list until somebody asks for them.
export class Client {
	events = [];
	#waiters = new Set();

	constructor(url, options) {
		this.socket = io(url, { forceNew: true, reconnection: false, timeout: 5000, ...options });
		this.socket.onAny((name, ...args) => this.#push(name, args));
		for (const name of ["connect", "disconnect", "connect_error"])
			this.socket.on(name, (...args) => this.#push(name, args));
	}

	get transport() {
		return this.socket.io.engine.transport.name;
	}

	#push(name, args) {
		this.events.push({ name, args, data: args[0], at: Date.now() });
		for (const wake of this.#waiters)
			wake();
		this.#waiters.clear();
	}

	all(name) {
		return this.events.filter((e) => e.name === name).map((e) => e.data);
	}

	// The first event of that name, past or future, that the test accepts.
	async when(name, accept = () => true, ms = PATIENCE_MS) {
		const find = () => this.events.find((e) => e.name === name && accept(e.data, ...e.args.slice(1)));
		const late = Date.now() + ms;
		for (;;) {
			const found = find();
			if (found)
				return found.data;
			const left = late - Date.now();
			if (left <= 0)
				throw new Error(`no ${name} within ${ms} ms; seen: ${JSON.stringify(this.events).slice(0, 2000)}`);
			await new Promise((resolve) => {
				const timer = setTimeout(resolve, left);
				this.#waiters.add(() => {		// a timer that is left would keep the file's process for its whole time
					clearTimeout(timer);
					resolve();
				});
			});
		}
	}

	emit(...args) {
		this.socket.emit(...args);
		return this;
	}

	// Emits and gives the acknowledgement.
	ask(name, ...args) {
		return this.socket.timeout(10_000).emitWithAck(name, ...args);
	}

	async join(more = {}) {
		const ack = await this.ask("join-chat", { userId: "visitor-1", ...more });
		assert.equal(ack.ok, true, JSON.stringify(ack));
		return (await this.when("chat-joined")).sessionId;
	}

	close() {
		this.socket.disconnect();
	}
}

// ---- the stack -----------------------------------------------------------------------------------------------------

const running = new Set();

function stopLeft() {
	for (const stack of running)
		stack.stopNow();
}
process.on("exit", stopLeft);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
	process.on(signal, () => {
		stopLeft();
		process.exit(1);
	});

// Runs ./run and gives { status, stdout, stderr }; killed after ms.
export function runScript(args, { env = {}, ms = 120_000, cwd = root } = {}) {
	return new Promise((resolve, reject) => {
		const child = spawn(run, args, { env: environment(env), cwd, stdio: ["ignore", "pipe", "pipe"] });
		const out = { stdout: "", stderr: "" };
		const timer = setTimeout(() => child.kill("SIGKILL"), ms);
		let silent = 0;		// turns of the loop, each of which looks at the pipes
		for (const name of ["stdout", "stderr"])
			child[name].on("data", (data) => {
				out[name] += data;
				silent = 0;
			});
		child.on("error", reject);
		child.on("exit", (status, signal) => {
			clearTimeout(timer);
			// What it leaves behind may hold the pipes; what it printed itself is in them, and read before they are silent.
			const turn = () => {
				if (++silent < 5)
					return setImmediate(turn);
				child.stdout.destroy();
				child.stderr.destroy();
				resolve({ ...out, status: status ?? signal });
			};
			turn();
		});
	});
}

export function newStateDir() {
	return mkdtempSync(path.join(process.env.HELPLINE_TEST_TMP ?? tmpdir(), "helpline-test-"));
}

// A TCP port that nobody listens on, below the range that the kernel hands out by itself.
let lastPort = 0;
export async function freePort() {
	const low = 20_000 + (process.pid * 37) % 9_000;
	for (let i = 0; i < 2000; i++) {
		const port = low + (lastPort++ % 2000);
		const free = await new Promise((resolve) => {
			const server = net.createServer();
			server.once("error", () => resolve(false));
			server.listen(port, () => server.close(() => resolve(true)));
		});
		if (free)
			return port;
	}
	throw new Error("no free port");
}

export class Stack {
	#clients = [];
	#redis = [];

	constructor(dir, env) {
		this.dir = dir;
		this.env = env;
	}

	async start() {
		running.add(this);
		const out = await runScript(["--state-dir", this.dir, "--port", "0", "--detach"], { env: this.env });
		this.printed = out.stdout + out.stderr;
		if (out.status !== 0)
			throw new Error(`./run --detach gave ${out.status}\n${this.printed}\n${this.log().slice(-4000)}`);
		const status = await this.status();
		this.url = addressOf(status) ?? /https?:\/\/[^\s/]+/.exec(this.printed)?.[0];
		recordFrom(this.url);
		this.redisSocket = redisOf(status, this.dir);
		return this;
	}

	async status() {
		const out = await runScript(["--state-dir", this.dir, "--status", "--json"], { env: this.env });
		if (out.status !== 0)
			throw new Error(`./run --status gave ${out.status}: ${out.stdout}${out.stderr}`);
		return JSON.parse(out.stdout);
	}

	async programs() {
		return (await this.status()).filter((p) => Number.isInteger(p.pid));
	}

	async program(name) {
		const found = (await this.programs()).find((p) => p.name === name);
		assert.ok(found, `--status names ${name}`);
		return found;
	}

	// Kills a program and waits until another one stands in its place.
	async kill(name, signal = "SIGKILL") {
		const { pid, restarts } = await this.program(name);
		process.kill(pid, signal);
		return waitFor(`${name} is started again`, async () => {
			const now = await this.program(name);
			return now.pid !== pid && now.restarts > restarts && now;
		});
	}

	// Replaces every program, or one, as ./run does.
	async restart(name) {
		const out = await runScript(["--restart", ...(name ? [name] : []), "--state-dir", this.dir], { env: this.env });
		if (out.status !== 0)
			throw new Error(`./run --restart gave ${out.status}: ${out.stdout}${out.stderr}`);
	}

	// Everything the programs, nginx and Redis have logged.
	log() {
		const folder = path.join(this.dir, "log");
		return existsSync(folder)
			? readdirSync(folder).map((f) => readFileSync(path.join(folder, f), "utf8")).join("\n") : "";
	}

	files(folder = this.dir) {
		return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
			const name = path.join(folder, entry.name);
			return entry.isDirectory() ? [name, ...this.files(name)] : [name];
		}).map((name) => name);
	}

	call(method, target, options) {
		return request(this.url, method, target, options);
	}

	get(target, headers) {
		return this.call("GET", target, { headers });
	}

	post(target, body, headers) {
		return this.call("POST", target, { body, headers });
	}

	raw(bytes, options) {
		return rawRequest(this.url, bytes, options);
	}

	stream(body, headers) {
		return openStream(this.url, "/api/v1/chat/message", body, headers);
	}

	async session(userId = "visitor-1", metadata = undefined) {
		const res = await this.post("/api/v1/chat/session", { userId, metadata });
		assert.equal(res.status, 200, res.text);
		return res.json.sessionId;
	}

	// One message, not streamed; the whole answer.
	message(sessionId, message, more = {}, headers = {}) {
		return this.post("/api/v1/chat/message", { sessionId, message, userId: "visitor-1", ...more }, headers);
	}

	// The same, when it must succeed: the body.
	async say(sessionId, message, more = {}, headers = {}) {
		const res = await this.message(sessionId, message, more, headers);
		assert.equal(res.status, 200, res.text);
		assert.equal(res.json.success, true, res.text);
		return res.json;
	}

	async history(sessionId) {
		const res = await this.get(`/api/v1/chat/history/${sessionId}`);
		assert.equal(res.status, 200, res.text);
		return res.json.history;
	}

	// A socket that is connected, or is about to be (connect: false).
	async client({ connect = true, ...options } = {}) {
		const client = new Client(this.url, options);
		this.#clients.push(client);
		if (connect)
			await client.when("connect");
		return client;
	}

	async redis() {
		const redis = await Redis.open(this.redisSocket);
		this.#redis.push(redis);
		return redis;
	}

	async stop() {
		this.#clients.forEach((c) => c.close());
		this.#redis.forEach((r) => r.close());
		if (!running.has(this))
			return;
		const out = await runScript(["--state-dir", this.dir, "--stop"], { env: this.env });
		if (out.status !== 0)
			return this.stopNow();
		const log = this.log();
		this.finish();
		assert.doesNotMatch(log, /AddressSanitizer|LeakSanitizer|runtime error:|SUMMARY: Undefined/,
			"a sanitizer found something");
	}

	stopNow() {
		spawnSync(run, ["--state-dir", this.dir, "--stop"], { env: environment(this.env), cwd: root, timeout: 30_000, stdio: "ignore" });
		this.finish();
	}

	finish() {
		running.delete(this);
		if (!process.env.HELPLINE_TEST_KEEP)
			rmSync(this.dir, { recursive: true, force: true });
	}
}

const all = (status) => (Array.isArray(status) ? status : [status]);
const addressOf = (status) => all(status).map((p) => p.address ?? p.url).find(Boolean)?.replace(/\/$/, "");
const redisOf = (status, dir) => path.resolve(dir, all(status).map((p) => p.socket ?? p.redis).find(Boolean) ?? "run/redis.sock");

// env adds to the environment; upstream is a scriptable one that becomes the first provider.
export async function startStack({ env = {}, upstream = null, stateDir = newStateDir() } = {}) {
	const stack = new Stack(stateDir, { ...(upstream && upstreamEnv(upstream)), ...env });
	try {
		return await stack.start();
	} catch (error) {
		stack.stopNow();
		throw error;
	}
}

export const modeOf = (file) => statSync(file).mode & 0o7777;
export const digest = (text) => createHash("sha256").update(text).digest("hex");
export const unique = (prefix = "x") => `${prefix}-${randomBytes(6).toString("hex")}`;
