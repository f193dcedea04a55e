// Customers who chat: over REST, over a stream of events, and over an unmodified socket.io-client. Each repeats what failed
// with the same clientMessageId, as a good client does, and reports to the ledger what it was told.

import { io } from "socket.io-client";
import { digest, openStream, pause, request, within } from "../harness.mjs";

export const TOKEN = /\bq\d+x\d+\b/g;	// each message has one, and the upstream's answer names the last that it saw

const ANSWER_MS = 60_000;

class Client {
	number = 0;
	said = 0;
	problems = [];

	constructor(field, id) {
		this.field = field;
		this.id = id;
		this.userId = `customer-${id}`;
	}

	// A message that nobody has sent before; some ask for a person, if that is what this run is about.
	next() {
		const token = `q${this.id}x${++this.number}`;
		const words = this.field.random() < this.field.calling ? "may I talk to a person please" : "where is my parcel?";
		return { token, message: `Question ${token}: ${words}`, clientMessageId: `c-${token}` };
	}

	report(what, entry) {
		this.field.ledger.report(what, { client: this.id, session: this.sessionId, ...entry });
	}

	acknowledged(m, more = {}) {
		this.said++;
		this.report("acknowledged", { cid: m.clientMessageId, hash: digest(m.message), ...more });
	}

	problem(text) {
		this.problems.push(text);
		this.report("problem", { text });
	}

	// Until it has worked, or the run is given up.
	async insist(attempt) {
		for (let tries = 0; !this.field.over; tries++) {
			const done = await attempt(tries).catch((error) => void this.failed(error));
			if (done !== undefined)
				return done;
			await pause(50 + this.field.random() * Math.min(1000, 100 * 2 ** tries));
		}
		return null;
	}

	failed(error) {
		const text = error.cause?.code ?? error.code ?? error.message;
		if (this.sessionId || text !== "not connected")		// a new socket takes its time
			this.field.saw(text);
	}

	async newSession() {
		const res = await this.insist(async () => {
			const answer = await this.call("/api/v1/chat/session", { userId: this.userId });
			this.field.saw(answer.status);
			return answer.status === 200 ? answer : undefined;
		});
		this.sessionId = res?.json.sessionId;
		this.report("session", {});
	}

	call(target, body) {
		return request(this.field.stack.url, "POST", target, { body, signal: AbortSignal.timeout(30_000) });
	}

	// What must not come: told, once. True: the conversation is gone, and another is begun.
	async lost(status, m) {
		this.field.saw(status);
		if (status === 404 && this.field.mayLose) {
			this.report("gone", { cid: m.clientMessageId });
			await this.newSession();
			return true;
		}
		if (status >= 400 && status < 500 && status !== 429 && status !== 404)
			this.problem(`${m.clientMessageId} got ${status}`);
		return false;
	}

	answered(m, { id, seq, text }) {
		this.report("answer", { cid: m?.clientMessageId, id, seq, hash: digest(text) });
	}

	async chat() {
		await this.newSession();
		while (!this.field.stopping) {
			this.waits = true;
			await this.turn();
			this.waits = false;
			await pause(this.field.random() * this.field.thinking);
		}
		await this.leave?.();
	}
}

class RestClient extends Client {
	async turn() {
		const m = this.next();
		const res = await this.insist(async () => {
			const answer = await this.call("/api/v1/chat/message", this.body(m));
			return answer.status === 200 || await this.lost(answer.status, m) ? answer : undefined;
		});
		if (res?.status === 200)
			this.got(m, res.json);
	}

	body({ message, clientMessageId }) {
		return { sessionId: this.sessionId, userId: this.userId, message, clientMessageId };
	}

	got(m, json) {
		this.acknowledged(m);
		this.field.heard(json.provider);
		if (json.seq)		// otherwise a person has the conversation, and that is all that it says
			this.answered(m, { id: json.messageId, seq: json.seq, text: json.response });
	}
}

class StreamClient extends RestClient {
	async turn() {
		const m = this.next();
		await this.insist(async () => {
			const stream = await within(openStream(this.field.stack.url, "/api/v1/chat/message", this.body(m)), 30_000, "stream");
			if (stream.response.status !== 200) {
				stream.abort();
				return await this.lost(stream.response.status, m) || undefined;
			}
			const answer = await within(this.read(stream), 30_000, "answer").finally(() => stream.abort());
			if (answer)
				this.got(m, answer);
			return answer ? true : undefined;
		});
	}

	async read(stream) {
		for await (const event of stream.events)
			if (event.event === "message")
				return event.json;
		return null;
	}
}

class SocketClient extends Client {
	seen = new Map();	// seq → id, in the order of first sight
	last = 0;		// highest seq of an event
	person = false;		// has the conversation
	handed = 0;		// times that it was handed over
	wakers = new Set();

	async newSession() {
		this.seen.clear();
		this.last = 0;
		if (!this.socket) {
			this.socket = io(this.field.stack.url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 1000, timeout: 5000 });
			this.socket.on("message-received", (m) => {
				this.silence(m.isBot, `message ${m.seq}`);
				this.field.heard(m.isBot ? m.provider : "person");
				this.see(m, m.message);
			});
			this.socket.on("message-delta", (m) => this.silence(true, `delta ${m.index} of ${m.id}`));
			this.socket.on("hand-over", ({ owner }) => {
				this.person = owner === "human";
				this.handed++;
				this.wakers.forEach((wake) => wake());
			});
			this.socket.on("chat-joined", (m) => (m.history ?? []).filter((e) => e.role === "assistant").forEach((e) => this.see(e, e.content)));
			this.socket.on("connect", () => this.sessionId && this.insist(() => this.join()));
		}
		this.sessionId = undefined;
		this.sessionId = await this.insist(async () => {
			const ack = await this.ask("join-chat", { userId: this.userId });
			return ack.ok ? ack.sessionId : undefined;
		});
		this.report("session", { socket: true });
	}

	ask(name, payload) {
		if (!this.socket.connected)
			return Promise.reject(new Error("not connected"));
		return this.socket.timeout(8000).emitWithAck(name, payload);
	}

	async join() {
		const ack = await this.ask("join-chat", { userId: this.userId, sessionId: this.sessionId, seq: this.last });
		return ack.ok ? ack : ack.code === "not_found" && this.field.mayLose ? false : undefined;
	}

	// While a person has it, the model is not heard.
	silence(model, what) {
		if (model && this.person)
			this.problem(`${what} of the model came while a person has the conversation`);
	}

	see(m, text) {
		if (!this.seen.has(m.seq)) {
			if (m.seq < this.last)
				this.problem(`seq ${m.seq} came after ${this.last}`);
			this.seen.set(m.seq, m.id);
			this.last = Math.max(this.last, m.seq);
			this.answered(null, { id: m.id, seq: m.seq, text });
			this.latest = { seq: m.seq, token: text.match(TOKEN)?.at(-1) };
			this.wakers.forEach((wake) => wake());
		} else if (this.seen.get(m.seq) !== m.id) {
			this.problem(`seq ${m.seq} is ${m.id} and ${this.seen.get(m.seq)}`);
		}
	}

	// Every fifth time a burst of three, without waiting.
	async turn() {
		const burst = Array.from({ length: this.field.random() < 0.2 ? 3 : 1 }, () => this.next());
		const acks = [];
		const { handed } = this;
		for (const m of burst)
			acks.push(await this.send(m));
		const last = acks.at(-1);
		if (last?.seq)
			await this.covered(burst.at(-1), last.seq, handed);
	}

	async send(m) {
		const body = { sessionId: this.sessionId, userId: this.userId, message: m.message, clientMessageId: m.clientMessageId };
		const ack = await this.insist(async () => {
			const got = await this.ask("send-message", { ...body, sessionId: this.sessionId });
			this.field.saw(got.ok ? "ok" : got.code);
			if (got.ok)
				return got;
			if (got.code === "not_found" && await this.lost(404, m))
				return {};
			if (!["busy", "store_unavailable", "too_many_requests", "out_of_memory", "internal", "timeout"].includes(got.code))
				this.problem(`${m.clientMessageId} got ${got.code}: ${got.error}`);
			return undefined;
		});
		if (ack?.seq)
			this.acknowledged(m, { id: ack.id, seq: ack.seq });
		return ack;
	}

	// The answer that covers the message with that seq; one without a token is an escalation's, and covers all before it.  None
	// comes if a person has the conversation, or had it meanwhile.
	async covered(m, seq, handed) {
		const late = Date.now() + (this.field.mayLose ? ANSWER_MS / 3 : ANSWER_MS);
		const done = () => this.person || this.handed > handed || this.latest && this.latest.seq > seq && (!this.latest.token || this.latest.token === m.token);
		while (!done() && !this.field.over && Date.now() < late && this.sessionId)
			await Promise.race([new Promise((resolve) => { this.wakers.add(resolve); }), pause(1000)]);
		this.wakers.clear();
	}

	drop() {
		this.socket?.io.engine?.close();
	}

	// The last look: with it the transcript must equal the store's up to there. What a person gave back may be answered later.
	async leave() {
		const look = await this.insist(() => this.join());
		if (look)
			this.report("transcript", { upTo: look.seq, seen: [...this.seen].map(([seq, id]) => ({ seq, id })) });
		this.socket.disconnect();
	}
}

// Deterministic random numbers: the choice of faults and pauses follows the seed.
export function generator(seed) {
	let state = seed >>> 0 || 1;
	return () => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		state >>>= 0;
		return state / 2 ** 32;
	};
}

export class Field {
	stopping = false;	// no new messages
	over = false;		// no more attempts either
	kinds = [RestClient, SocketClient, StreamClient, SocketClient];

	sights = new Map();	// what attempts came to, and how often
	voices = new Map();	// who answered, and how often

	// calling: the share of messages that ask for a person.
	constructor(stack, ledger, { clients, seed, thinking = 1500, mayLose = false, only = null, calling = 0 }) {
		Object.assign(this, { stack, ledger, thinking, mayLose, calling, random: generator(seed) });
		const kinds = only === "sockets" ? [SocketClient] : this.kinds;
		this.clients = Array.from({ length: clients }, (_, i) => new kinds[i % kinds.length](this, i));
	}

	start() {
		this.running = this.clients.map((c) => c.chat());
		return this;
	}

	saw(what) {
		this.sights.set(what, (this.sights.get(what) ?? 0) + 1);
	}

	heard(voice) {
		this.voices.set(voice, (this.voices.get(voice) ?? 0) + 1);
	}

	// What went wrong for customers, and who answered them.
	get report() {
		const list = (map) => [...map].sort((a, b) => b[1] - a[1]).map(([what, n]) => `${what} ${n}`).join(", ");
		const wrong = new Map([...this.sights].filter(([what]) => what !== 200 && what !== "ok"));
		return `customers had to try again: ${list(wrong) || "never"}; they were answered by: ${list(this.voices) || "nobody"}`;
	}

	// Has the customer of that session written what is not answered yet?
	waits(session) {
		return this.clients.some((c) => c.sessionId === session && c.waits);
	}

	get said() {
		return this.clients.reduce((n, c) => n + c.said, 0);
	}

	get sockets() {
		return this.clients.filter((c) => c.socket);
	}

	// All finish what they began; who cannot within the time is cut short. True: all could.
	async stop(ms = 75_000) {
		this.stopping = true;
		const timer = setTimeout(() => { this.over = true; }, ms);
		await Promise.all(this.running);
		clearTimeout(timer);
		await this.ledger.sync();
		const finished = !this.over;
		this.giveUp();
		return finished;
	}

	// No further attempts: a socket that was to join again when its customer had left would try for ever.
	giveUp() {
		this.stopping = this.over = true;
	}
}
