// A scriptable OpenAI-compatible server.
//
//	const upstream = await startUpstream();
//	upstream.next(reply("Hello"), rateLimited({ seconds: 1 }));	one step a request, in order ...
//	upstream.otherwise = (request, n) => reply("n " + n);		... then this, a step or a function that gives one
//
// As a program: node upstream.mjs --port 8090 --text "Hello there" --delay 2000 --token-delay 20
// and, while it runs: POST /control/next [steps], POST /control/otherwise step, GET or DELETE /control/requests.
//
//	upstream.speech.next(serverError()), upstream.hearing.next({ text: "what was said", delay: 50 })	of /audio/speech and
//		/audio/transcriptions; .otherwise, .requests and .arrived(n) likewise. See SOUND_STEP. Without a step they give
//		real speech, and the words that were really heard, if startUpstream({ sound: true }); else a silence, and a sentence.
//
// A step is plain data (see STEP below), so that all of them can be sent over the control address too.

import http from "node:http";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { Refused, formOf, speechOf, transcriptOf, wordsOf } from "./sound.mjs";

// What a step may say; all of it optional.
const STEP = {
	// an answer
	text: "Hello, how can I help?",	// what the model says
	tokens: null,			// the same, already cut: ["Hel", "lo"]; else one piece a word
	said: {},			// structured output: what the model says for these members of the schema
	delay: 0,			// ms before the status line
	firstDelay: 0,			// ms between the headers and the first token
	tokenDelay: 0,			// ms between tokens
	finish: "stop",			// finish_reason; null = the stream ends without one
	usage: null,			// null: as asked for; true, false: whatever was asked
	done: true,			// send data: [DONE]
	model: null,			// name in the answer; else what was asked for
	toolCalls: null,		// [{id, type, function:{name, arguments}}]
	refusal: null,
	streaming: null,		// false: ignores stream:true; true: streams though not asked
	structured: null,		// false: ignores response_format and answers plain text
	fenced: false,			// wraps the JSON of structured output into ```json
	// form of the stream
	comments: null,			// text of comments between events (": OPENROUTER PROCESSING")
	emptyChoicesFirst: false,	// Azure's first chunk
	repeatRole: false,		// Ollama
	newline: "\n",
	space: true,			// "data: x" or "data:x"
	bytes: 0,			// write so many bytes at a time, each in a packet of its own
	reasoning: null,		// text sent as delta.reasoning before the answer
	extra: null,			// members added to each chunk
	// failures
	status: 200,
	headers: {},
	error: undefined,		// member "error" of the body of a failure
	body: undefined,		// whole body, a string or JSON
	contentType: null,
	cut: null,			// "accept" | "headers" | number of tokens: then the connection is destroyed
	stall: null,			// the same places: then silence for ever
	end: null,			// number of tokens: then a clean end of the body
	streamError: null,		// {after: n, error: {...}}
	garbage: null,			// {after: n, text: "data: {broken"}
};

export const reply = (text, more = {}) => ({ text, ...more });
export const said = (text, members, more = {}) => ({ text, said: members, ...more });

export const failure = (status, error, more = {}) => ({ status, error, ...more });
export const rateLimited = ({ seconds, date, ms, ...more } = {}) => failure(429,
	{ message: "Rate limit reached for requests", type: "requests", param: null, code: "rate_limit_exceeded" }, {
		...more, headers: {
			...(seconds !== undefined && { "retry-after": String(seconds) }),
			...(date !== undefined && { "retry-after": new Date(date).toUTCString() }),
			...(ms !== undefined && { "retry-after-ms": String(ms) }),
			...more.headers,
		},
	});
export const insufficientQuota = (more = {}) => failure(429, {
	message: "You exceeded your current quota, please check your plan and billing details.",
	type: "insufficient_quota", param: null, code: "insufficient_quota",
}, more);
export const serverError = (status = 500, more = {}) =>
	failure(status, { message: "The server had an error", type: "server_error", param: null, code: null }, more);
export const html = (status = 502, more = {}) => ({
	status, contentType: "text/html",
	body: "<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>", ...more,
});
export const empty = (status = 502, more = {}) => ({ status, body: "", contentType: "text/plain", ...more });
export const invalidKey = () => failure(401, {
	message: "Incorrect API key provided: sk-***.", type: "invalid_request_error", param: null, code: "invalid_api_key",
});
export const unsupportedParameter = (param) => failure(400, {
	message: `Unsupported parameter: '${param}' is not supported with this model.`,
	type: "invalid_request_error", param, code: "unsupported_parameter",
});
export const unsupportedValue = (param) => failure(400, {
	message: `Unsupported value: '${param}' does not support this value with this model.`,
	type: "invalid_request_error", param, code: "unsupported_value",
});
export const geminiError = (status = 400, text = "Invalid value") => ({
	status, body: [{ error: { code: status, message: text, status: "INVALID_ARGUMENT" } }],
});
export const vllmError = (status = 400, text = "bad request") => failure(status,
	{ message: text, type: "BadRequestError", param: null, code: status });
export const oldVllmError = (status = 400, text = "bad request") => ({
	status, body: { object: "error", message: text, type: "BadRequestError", param: null, code: status },
});
export const brokenJson = () => ({ streaming: false, body: '{"id":"chatcmpl-1","choices":[{"index":0,"mess', status: 200 });

// A function step: refuses a request that carries one of the parameters, as its models do; else answers.
export const refusing = (params, step = {}, kind = unsupportedParameter) => (request) => {
	const found = Object.keys(params).find((p) => request.body?.[p] !== undefined && params[p](request.body[p]));
	return found ? kind(found) : step;
};

const words = (text) => text.match(/\s*\S+\s*/gu) ?? (text ? [text] : []);

// A value for a JSON Schema: strings get the text, confidence 0.9, others something sane.
export function fill(schema, text, members, name = "", root = schema) {
	if (name && Object.hasOwn(members, name))
		return members[name];
	if (schema.$ref)
		return fill(schema.$ref.slice(2).split("/").reduce((s, k) => s[k], root), text, members, name, root);
	if (schema.const !== undefined)
		return schema.const;
	const options = schema.anyOf ?? schema.oneOf;
	if (options)
		return fill(options[0], text, members, name, root);
	if (schema.enum)
		return ["neutral", "general", "none"].find((v) => schema.enum.includes(v)) ?? schema.enum[0];
	switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
	case "object":
		return Object.fromEntries(Object.entries(schema.properties ?? {})
			.map(([k, s]) => [k, fill(s, text, members, k, root)]));
	case "array":
		return schema.items?.enum ? [fill(schema.items, text, {}, "", root)] : [];
	case "number":
		return name === "confidence" ? 0.9 : schema.minimum ?? 0.5;
	case "integer":
		return schema.minimum ?? 1;
	case "boolean":
		return false;
	case "null":
		return null;
	default:
		return text;
	}
}

// What a step of the two sound routes may say. Failures (html(), serverError(), ...) serve them as well.
const SOUND_STEP = {
	delay: 0,			// ms before the status line
	text: null,			// transcription: instead of what is heard
	sound: null,			// speech: a Buffer, instead of what is said
	bytes: 4096,			// speech goes out in pieces of so many bytes ...
	firstDelay: 0,			// ... ms before the first ...
	pieceDelay: 0,			// ... and between them
	cut: null,			// "accept", or the number of pieces after which the connection is cut
	stall: null,			// likewise: nothing more comes, the connection stays
	contentType: null, status: 200, headers: {},
};

// One of the routes as a test sees it.
class SoundRoute {
	otherwise = {};
	#queue = [];

	constructor(upstream, path) {
		this.upstream = upstream;
		this.path = path;
	}

	next(...steps) {
		this.#queue.push(...steps);
		return this;
	}

	get requests() {
		return this.upstream.requests.filter((r) => r.path.endsWith(this.path));
	}

	arrived(n, ms) {
		return this.upstream.arrived(n, ms, () => this.requests);
	}

	async take(request) {
		const step = this.#queue.length > 0 ? this.#queue.shift() : this.otherwise;
		return { ...SOUND_STEP, ...(typeof step === "function" ? await step(request) : step) };
	}

	reset() {
		this.#queue = [];
		this.otherwise = {};
	}
}

class Upstream {
	requests = [];		// {n, at, endedAt, method, path, headers, raw, body, aborted}
	otherwise = {};		// the step of a request for which nothing is queued
	record = true;
	open = 0;		// chat requests that are not answered yet
	mostOpen = 0;
	sound = false;		// real speech and hearing, by the programs of sound.mjs
	speech = new SoundRoute(this, "/audio/speech");
	hearing = new SoundRoute(this, "/audio/transcriptions");
	#queue = [];
	#sockets = new Set();
	#waiters = new Set();
	#n = 0;

	constructor(host) {
		this.host = host;
	}

	get url() {
		return `http://${this.host}:${this.port}/v1`;
	}

	// The chat requests only, bodies as JSON.
	get chats() {
		return this.requests.filter((r) => r.path.endsWith("/chat/completions"));
	}

	get last() {
		return this.chats.at(-1);
	}

	next(...steps) {
		this.#queue.push(...steps);
		return this;
	}

	reset() {
		this.#queue = [];
		this.requests = [];
		this.otherwise = {};
		this.speech.reset();
		this.hearing.reset();
		this.mostOpen = this.open;
	}

	// Resolves when at least n chat requests have arrived since the last reset.
	async arrived(n, ms = 30_000, seen = () => this.chats) {
		const late = AbortSignal.timeout(ms);
		while (seen().length < n) {
			await new Promise((resolve, reject) => {
				this.#waiters.add(resolve);
				late.addEventListener("abort", () => reject(new Error(
					`the upstream has seen ${seen().length} of ${n} requests after ${ms} ms`)), { once: true });
			});
		}
		return seen()[n - 1];
	}

	async listen(port = this.port ?? 0) {
		this.server = http.createServer({ keepAliveTimeout: 600_000, requestTimeout: 0, headersTimeout: 0 },
			(req, res) => this.#serve(req, res).catch((error) => {
				if (!res.destroyed)
					res.destroy();
				if (!["ERR_STREAM_PREMATURE_CLOSE", "ECONNRESET", "ABORT_ERR"].includes(error.code))
					console.error("upstream:", error);
			}));
		this.server.maxConnections = Infinity;
		this.server.on("connection", (socket) => {
			this.#sockets.add(socket);
			socket.setNoDelay(true);
			socket.on("close", () => this.#sockets.delete(socket));
			socket.on("error", () => {});
		});
		this.server.listen({ port, host: this.host, backlog: 16_384 });
		await once(this.server, "listening");
		this.server.unref();		// a file whose hooks failed must end all the same
		this.port = this.server.address().port;
		return this;
	}

	// From now on connections are refused; listen() ends that, on the same port.
	async refuse() {
		const closed = once(this.server, "close");
		this.server.close();
		for (const socket of this.#sockets)
			socket.destroy();
		await closed;
	}

	async close() {
		if (this.server?.listening)
			await this.refuse();
	}

	async #serve(req, res) {
		const chunks = [];
		for await (const chunk of req)
			chunks.push(chunk);
		const raw = Buffer.concat(chunks);
		const request = {
			n: ++this.#n, at: Date.now(), method: req.method, path: new URL(req.url, "http://x").pathname,
			headers: req.headers, raw: "", body: undefined, aborted: false, socket: req.socket.remotePort,
		};
		if (/^multipart\//.test(req.headers["content-type"] ?? "")) {
			request.form = await formOf(raw, req.headers["content-type"]).catch((refused) => ({ refused }));
		} else {
			request.raw = raw.toString();
			try {
				request.body = JSON.parse(request.raw);
			} catch { /* recorded as it is */ }
		}
		if (request.path.startsWith("/control/"))
			return this.#control(request, res);
		if (this.record)
			this.requests.push(request);
		res.on("close", () => {
			request.endedAt = Date.now();
			request.aborted = !res.writableFinished;
		});
		for (const wake of this.#waiters)
			wake();
		this.#waiters.clear();
		if (req.method === "GET" && request.path.endsWith("/models"))
			return json(res, 200, { object: "list", data: [{ id: "test-model", object: "model", created: 1, owned_by: "test" }] });
		const route = [this.speech, this.hearing].find((r) => req.method === "POST" && request.path.endsWith(r.path));
		if (route)
			return this.#sound(route, request, res);
		if (!request.path.endsWith("/chat/completions"))
			return json(res, 404, { error: { message: `Invalid URL (${req.method} ${request.path})`, type: "invalid_request_error", param: null, code: null } });
		this.mostOpen = Math.max(this.mostOpen, ++this.open);
		res.on("close", () => this.open--);
		const gone = new AbortController();
		res.on("close", () => gone.abort());
		let step = this.#queue.length > 0 ? this.#queue.shift() : this.otherwise;
		if (typeof step === "function")
			step = await step(request, this.#n);
		await this.#perform(request, { ...STEP, ...step }, res, gone.signal).catch((error) => {
			if (error.name !== "AbortError" && error.message !== "cut")
				throw error;
		});
	}

	// {form: {name, type, bytes, fields}, heard} of a transcription, {body, sound} of speech, are in the recorded request.
	async #sound(route, request, res) {
		const gone = new AbortController();
		res.on("close", () => gone.abort());
		try {
			const step = await route.take(request);
			await (route === this.speech ? this.#speak(request, step, res, gone.signal) : this.#hear(request, step, res, gone.signal));
		} catch (error) {
			if (error instanceof Refused)
				json(res, error.status, error.body);
			else if (error.name !== "AbortError" && error.message !== "cut")
				throw error;
		}
	}

	async #place(step, where, res, signal) {
		if (step.cut === where) {
			res.destroy();
			throw new Error("cut");
		}
		if (step.stall === where)
			await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("gone", "AbortError"))));
	}

	// True: the step was a failure, and is said.
	async #soundBegins(step, res, signal) {
		await this.#place(step, "accept", res, signal);
		if (step.delay > 0)
			await sleep(step.delay, undefined, { signal });
		for (const [k, v] of Object.entries(step.headers))
			res.setHeader(k, v);
		if (step.error === undefined && step.body === undefined)
			return false;
		json(res, step.status, step.body ?? { error: step.error }, step.contentType);
		return true;
	}

	async #hear(request, step, res, signal) {
		if (await this.#soundBegins(step, res, signal))
			return;
		if (request.form?.refused || !request.form)
			throw request.form?.refused ?? new Refused(400, "This is not a form");
		const text = step.text ?? await wordsOf(request.form, { real: this.sound });
		request.heard = text;
		const [body, type] = transcriptOf(text, request.form);
		json(res, step.status, body, step.contentType ?? type);
	}

	async #speak(request, step, res, signal) {
		if (await this.#soundBegins(step, res, signal))
			return;
		const { sound, type } = step.sound ? { sound: step.sound, type: "audio/mpeg" } : await speechOf(request.body, { real: this.sound });
		request.sound = sound;
		res.writeHead(step.status, { "content-type": step.contentType ?? type });
		res.flushHeaders();
		if (step.firstDelay > 0)
			await sleep(step.firstDelay, undefined, { signal });
		for (let at = 0, piece = 0; at < sound.length; at += step.bytes, piece++) {
			await this.#place(step, piece, res, signal);
			if (piece > 0 && step.pieceDelay > 0)
				await sleep(step.pieceDelay, undefined, { signal });
			if (!res.write(sound.subarray(at, at + step.bytes)))
				await once(res, "drain", { signal });
		}
		res.end();
	}

	#control(request, res) {
		const what = `${request.method} ${request.path}`;
		if (what === "POST /control/next")
			this.next(...request.body);
		else if (what === "POST /control/otherwise")
			this.otherwise = request.body;
		else if (what === "DELETE /control/requests")
			this.reset();
		else if (what !== "GET /control/requests")
			return json(res, 404, { error: "unknown" });
		return json(res, 200, { open: this.open, mostOpen: this.mostOpen, requests: what.startsWith("GET") ? this.requests : [] });
	}

	async #perform(request, step, res, signal) {
		const body = request.body ?? {};
		const wait = (ms) => (ms > 0 ? sleep(ms, undefined, { signal }) : undefined);
		const place = async (where) => {
			if (step.cut === where) {
				res.destroy();
				throw new Error("cut");
			}
			if (step.stall === where)
				await new Promise((_, reject) => signal.addEventListener("abort",
					() => reject(new DOMException("gone", "AbortError"))));
		};

		await place("accept");
		await wait(step.delay);
		for (const [k, v] of Object.entries({ "x-request-id": `req_${request.n}`, ...step.headers }))
			res.setHeader(k, v);
		if (step.error !== undefined || step.body !== undefined)
			return json(res, step.status, step.body ?? { error: step.error }, step.contentType);

		const schema = step.structured !== false && body.response_format?.type === "json_schema"
			? body.response_format.json_schema.schema : null;
		const object = step.structured !== false && body.response_format?.type === "json_object";
		let pieces = step.tokens ?? words(step.text);
		if (schema || object) {
			const text = pieces.join("");
			let whole = JSON.stringify(schema ? fill(schema, text, step.said) : { answer: text, confidence: 0.9, ...step.said });
			if (step.fenced)
				whole = "```json\n" + whole + "\n```";
			pieces = whole.match(/[^]{1,7}/gu);	// tokens pay no heed to JSON's grammar
		}
		const usage = {
			prompt_tokens: Math.ceil(request.raw.length / 4), completion_tokens: pieces.length,
			total_tokens: Math.ceil(request.raw.length / 4) + pieces.length,
		};
		request.usage = usage;
		const base = { id: `chatcmpl-${request.n}`, created: Math.floor(Date.now() / 1000), model: step.model ?? body.model };

		if (!(step.streaming ?? body.stream === true)) {
			await place("headers");
			await wait(step.firstDelay + step.tokenDelay * pieces.length);
			return json(res, step.status, {
				...base, object: "chat.completion", choices: [{
					index: 0, finish_reason: step.toolCalls ? "tool_calls" : step.finish, logprobs: null,
					message: {
						role: "assistant", content: step.toolCalls ? null : pieces.join(""), refusal: step.refusal,
						...(step.toolCalls && { tool_calls: step.toolCalls }),
					},
				}], ...(step.usage !== false && { usage }),
			});
		}

		const withUsage = step.usage ?? body.stream_options?.include_usage === true;
		const write = async (text) => {
			const data = Buffer.from(text);
			if (!step.bytes)
				return void (res.write(data) || await once(res, "drain", { signal }));
			for (let i = 0; i < data.length; i += step.bytes) {
				res.write(data.subarray(i, i + step.bytes));
				await new Promise(setImmediate);
				signal.throwIfAborted();
			}
		};
		const event = (data) => write(`data:${step.space ? " " : ""}${data}${step.newline}${step.newline}`);
		const chunk = (choices, more = {}) => event(JSON.stringify({
			...base, object: "chat.completion.chunk", choices, ...(withUsage && { usage: null }), ...step.extra, ...more,
		}));
		const delta = (d, finish = null) => chunk([{ index: 0, delta: d, logprobs: null, finish_reason: finish }]);

		res.writeHead(step.status, { "content-type": step.contentType ?? "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
		res.flushHeaders();
		await place("headers");
		await wait(step.firstDelay);
		if (step.emptyChoicesFirst)
			await chunk([], { id: "", model: "", prompt_filter_results: [] });
		if (step.comments)
			await write(`: ${step.comments}${step.newline}${step.newline}`);
		await delta({ role: "assistant", content: "", refusal: null });
		if (step.reasoning)
			await delta({ reasoning: step.reasoning, reasoning_content: step.reasoning });
		for (let i = 0; i <= pieces.length; i++) {
			await place(i);
			if (step.end === i)
				return res.end();
			if (step.garbage?.after === i)
				await write(step.garbage.text + step.newline + step.newline);
			if (step.streamError?.after === i) {
				await event(JSON.stringify({ error: step.streamError.error }));
				return res.end();
			}
			if (i === pieces.length || step.toolCalls)
				break;
			if (i > 0) {
				await wait(step.tokenDelay);
				if (step.comments)
					await write(`: ${step.comments}${step.newline}${step.newline}`);
			}
			await delta({ ...(step.repeatRole && { role: "assistant" }), content: pieces[i] });
			request.written = i + 1;
		}
		for (const [index, call] of (step.toolCalls ?? []).entries()) {
			await delta({ tool_calls: [{ index, id: call.id, type: "function", function: { name: call.function.name, arguments: "" } }] });
			for (const part of call.function.arguments.match(/[^]{1,5}/gu) ?? [])
				await delta({ tool_calls: [{ index, function: { arguments: part } }] });
		}
		if (step.refusal)
			await delta({ refusal: step.refusal });
		if (step.finish !== null)
			await delta({}, step.toolCalls ? "tool_calls" : step.finish);
		if (withUsage)
			await chunk([], { usage });
		if (step.done)
			await event("[DONE]");
		res.end();
	}
}

function json(res, status, body, type = null) {
	const text = typeof body === "string" ? body : JSON.stringify(body);
	res.writeHead(status, { "content-type": type ?? "application/json", "content-length": Buffer.byteLength(text) });
	res.end(text);
}

export function startUpstream({ port = 0, host = "127.0.0.1", otherwise, sound = false } = {}) {
	const upstream = new Upstream(host);
	upstream.sound = sound;
	if (otherwise)
		upstream.otherwise = otherwise;
	return upstream.listen(port);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
	const { values } = (await import("node:util")).parseArgs({ options: {
		port: { type: "string", default: "8090" }, host: { type: "string", default: "127.0.0.1" },
		text: { type: "string", default: STEP.text }, delay: { type: "string", default: "0" },
		"first-delay": { type: "string", default: "0" }, "token-delay": { type: "string", default: "0" },
		record: { type: "boolean", default: false }, sound: { type: "boolean", default: false },
	} });
	const upstream = await startUpstream({
		sound: values.sound, port: Number(values.port), host: values.host, otherwise: {
			text: values.text, delay: Number(values.delay), firstDelay: Number(values["first-delay"]),
			tokenDelay: Number(values["token-delay"]),
		},
	});
	upstream.record = values.record;
	upstream.server.ref();
	console.log(`listening on ${upstream.url}`);
}
