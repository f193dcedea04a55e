// A conversation as this browser knows it: who we are, what was said, what is still to be sent. No DOM in here.
//
// A message goes into the outbox first, with an id of its own, and stays there until the server has said that it is
// stored. It may be sent any number of times: the server stores it once. It goes over the socket, or by REST when the
// socket cannot be had. What comes back is sorted by seq and known by id, so it may come any number of times too.

import { randomId } from "./store.js";

const GRACE_MS = 2500;		// how long a message waits for the socket before it goes by REST
const ASK_MS = 15000;		// for the server to acknowledge
const REFRESH_MS = 8000;	// how often to look for news while there is no socket
const ANSWER_MS = 90000;	// how long an answer may be awaited
const RETRY_MS = 1000;		// doubles
const RETRY_MAX_MS = 15000;
const LOST_TRIES = 3;		// sessions in a row that are not ours
const PENDING = 1e9;		// sorts after every seq

// Failures that repeating cannot cure.
const FINAL = new Set([400, 405, 413, 415, 422]);
const FINAL_CODES = new Set(["bad_request", "bad_json", "method_not_allowed", "too_large", "unsupported_media_type", "unprocessable"]);
const LOST_CODES = new Set(["not_found", "forbidden"]);

const sentence = (code) => ({
	too_large: "This message is too long. Shorten it, or send it in parts.",
	unprocessable: "This message was changed on the way. Send it again.",
})[code];

const text = (value) => (typeof value === "string" ? value : "");
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const whole = (value) => Number.isInteger(value) && value > 0;

// A message as history and events tell it, in one form.
function message(m, role) {
	return {
		id: text(m.id || m.messageId), seq: whole(m.seq) ? m.seq : undefined, role,
		cid: role === "user" ? text(m.clientMessageId) : "",
		text: text(m.content !== undefined ? m.content : m.message !== undefined ? m.message : m.response),
		time: text(m.timestamp), provider: text(m.provider),
		sources: Array.isArray(m.sources) ? m.sources : [],
		escalated: Boolean(m.needsEscalation || m.escalation), state: "sent",
	};
}

const roleOf = (m) => (m.role === "user" ? "user"
	: m.by === "human" || m.isBot === false || (m.role && m.role !== "assistant") ? "person" : "bot");

export class Chat {
	// view: show(message), remove(message), clear(), draft(text or null, writing), status(word), trouble(sentence or ""),
	// note(sentence or ""), escalated(word or ""), model(connected), calls(possible)
	constructor({ api, store, view, makeSocket }) {
		Object.assign(this, { api, store, view });
		this.userId = store.get("user");
		if (typeof this.userId !== "string") {
			this.userId = "visitor-" + randomId();
			store.set("user", this.userId);
		}
		this.sessionId = store.get("session");
		this.messages = [];
		this.pendingCount = 0;
		this.typing = false;
		this.draft = null;
		this.person = this.back = false;
		this.settled = 0;
		this.joined = false;
		this.joining = null;
		this.downSince = Date.now();
		this.restWorks = false;
		this.modelConnected = undefined;
		this.waiters = [];
		this.socket = makeSocket({
			up: () => this._up(),
			down: (wasUp) => this._down(wasUp),
			event: (name, data) => this._event(name, data),
		});
	}

	async start() {
		this.store.changed("session", () => this._otherTab());
		this._status();
		for (const entry of this._outbox())
			this._showEntry(entry);
		this.socket.open();
		setInterval(() => this._refreshIfAlone(), REFRESH_MS);
		this._health();
		await this._load();
		this._pump();
	}

	// ---- what the page asks for ----

	send(words) {
		const entry = { cid: randomId(), text: words, at: new Date().toISOString() };
		this.view.note("");
		this.back = false;
		this._saveOutbox([...this._outbox(), entry]);
		this._showEntry(entry);
		this._pump();
	}

	retry(cid) {
		const old = this._outbox().find((e) => e.cid === cid);
		if (!old)
			return;
		this.discard(cid);
		this.send(old.text);
	}

	// Takes a message that failed out, and gives its text.
	discard(cid) {
		const entry = this._outbox().find((e) => e.cid === cid);
		this._saveOutbox(this._outbox().filter((e) => e.cid !== cid));
		this._forget(this.messages.find((m) => m.cid === cid));
		return entry ? entry.text : "";
	}

	fresh() {
		this._saveOutbox([]);
		this._newSession("");
	}

	// The page is looked at again; or the network has changed, so that the connection is dead whether it knows or not.
	wake(changed) {
		if (changed)
			this.socket.restart();
		this.socket.wake();
		this._wakeWaiters();
		this._status();
	}

	// ---- session ----

	async _session() {
		if (!this.sessionId)
			this.sessionId = this.store.get("session");
		if (!this.sessionId) {
			const made = await this.api.createSession(this.userId);
			this.sessionId = made.sessionId;
			this.store.set("session", this.sessionId);
		}
		if (this.socket.up)
			await this._join();
		if (!this.sessionId)
			throw Object.assign(new Error("The conversation has ended"), { code: "not_found" });
		return this.sessionId;
	}

	_newSession(note) {
		this.sessionId = undefined;
		this.store.remove("session");
		this._reset();
		this.view.note(note);
	}

	// For another conversation, or none.  A connection that is in the room of the one before goes: it would be told both.
	_reset() {
		if (this.joined || this.joining) {
			this.socket.restart();
			this.socket.wake();
		}
		this.joined = false;
		this.joining = null;
		this.asked = false;
		this.typing = false;
		this.person = this.back = false;
		this.settled = 0;
		this.messages = [];
		this.view.clear();
		this._setDraft(null);
		for (const entry of this._outbox())
			this._showEntry(entry);
		this._changed();
	}

	_lostSession() {
		this._newSession("Your earlier conversation has ended, because nothing was written for a while. This is a new one.");
	}

	// Another tab has begun a conversation, or ended one.
	_otherTab() {
		const now = this.store.get("session");
		if (now === this.sessionId)
			return;
		this.sessionId = now;
		this._reset();
		this._load();
	}

	async _load() {
		const id = this.sessionId;
		if (!id)
			return;
		try {
			const { history, sessionData } = await this.api.history(id);
			if (id === this.sessionId) {
				this._history(history);
				this._owner(sessionData && sessionData.owner);
			}
		} catch (error) {
			if (id === this.sessionId && (error.status === 404 || error.status === 403))
				this._lostSession();
		}
		if (this.socket.up && this.sessionId)
			this._join();
	}

	_history(list) {
		const found = (Array.isArray(list) ? list : []).filter((m) => m && m.role !== "system");
		const work = () => found.forEach((m) => this._put(message(m, roleOf(m))));
		// What was said while the connection was lost is news; what was said before the page was opened is not.
		if (found.length > 0 && !this.messages.some((m) => m.seq))
			this.view.bulk(work);
		else
			work();
	}

	// ---- socket ----

	_up() {
		this.restWorks = false;
		if (this.sessionId)
			this._join();
		else
			this._ready();
		this._status();
	}

	_down(wasUp) {
		if (wasUp || this.joined)
			this.downSince = Date.now();
		this.joined = false;
		this.joining = null;
		this._status();
	}

	// Joins the session's room once a connection. Never rejects: what cannot be joined is down.
	_join() {
		if (this.joined)
			return Promise.resolve();
		if (!this.joining)
			this.joining = this._askToJoin(this.sessionId);
		return this.joining;
	}

	async _askToJoin(sessionId) {
		let ack;
		try {
			ack = await this.socket.ask("join-chat", { userId: this.userId, sessionId, seq: this._lastSeq() }, ASK_MS);
		} catch (error) {
			return this.socket.up ? this.socket.restart() : undefined;
		}
		if (sessionId !== this.sessionId)
			return undefined;
		if (ack && ack.ok) {
			this.joined = true;
			return this._ready();
		}
		if (ack && LOST_CODES.has(ack.code))
			return this._lostSession();
		return this.socket.restart();
	}

	_ready() {
		this.view.trouble("");
		this._wakeWaiters();
		this._status();
		if (this.modelConnected === undefined)
			this._health();
	}

	_event(name, data) {
		if (name === "typing")
			return this._setTyping(data === true);
		if (!data || typeof data !== "object")
			return undefined;
		switch (name) {
		case "chat-joined":
			if (data.sessionId !== this.sessionId)
				return undefined;
			this._history(data.history);
			return this._owner(data.owner);
		case "hand-over":
			return this._owner(data.owner, true);
		case "message-accepted":
			return this._put(message(data, "user"));
		case "message-received":
			return this._received(message(data, roleOf(data)));
		case "message-delta":
			return this.person || (this.draft && this.draft.rest) ? undefined : this._delta(data);
		case "escalation-needed":
			this.asked = true;
			return this._changed();
		}
		return undefined;
	}

	// Who answers here: "human" or "ai".  told: it has just changed.
	_owner(owner, told) {
		const person = owner === "human";
		if (person === this.person || (!person && owner !== "ai"))
			return;
		this.person = person;
		this.back = Boolean(told) && !person;
		this.asked = false;
		if (!person)
			this.settled = Math.max(0, ...this.messages.map((m) => m.seq || 0));
		if (person) {
			this.typing = false;
			this._setDraft(null);
		}
		this._changed();
	}

	// ---- transcript ----

	// All before it are known, too.
	_lastSeq() {
		const known = new Set(this.messages.map((m) => m.seq));
		let seq = 0;
		while (known.has(seq + 1))
			seq++;
		return seq;
	}

	_put(m) {
		let old = this.messages.find((o) => (m.id && o.id === m.id) || (m.cid && o.cid === m.cid));
		if (!old) {
			old = { key: m.id || m.cid };
			this.messages.push(old);
		}
		for (const [name, value] of Object.entries(m))
			if (value !== undefined && value !== "")
				old[name] = value;
		old.order = old.seq || old.order || PENDING + this.pendingCount++;
		this.messages.sort((a, b) => a.order - b.order);
		if (m.role === "user" && m.state === "sent" && m.cid)
			this._saveOutbox(this._outbox().filter((e) => e.cid !== m.cid));
		if (m.role !== "user" && this.draft && (this.draft.id === m.id || m.seq > this.draft.after))
			this._setDraft(null);
		this.view.show(old, this.messages);
		this._changed();
	}

	_forget(m) {
		if (!m)
			return;
		this.messages = this.messages.filter((o) => o !== m);
		this.view.remove(m);
		this._changed();
	}

	_received(m) {
		if (m.role !== "user")
			this.typing = false;
		// "helpline": our own words, which say nothing of a model.
		if (m.role === "bot" && m.provider && m.provider !== "helpline")
			this._model(m.provider !== "offline");
		if (m.role === "person")
			this._owner("human");
		this._put(m);
	}

	// What follows from the messages.
	_changed() {
		// What was asked before a person wrote, or left, is settled.
		const settled = Math.max(this.settled, ...this.messages.map((m) => (m.role === "person" ? m.order : 0)));
		const asked = this.messages.some((m) => m.escalated && m.order > settled) || (this.asked && this.messages.length > 0);
		if (this.messages.length === 0)
			this.asked = false;
		this.view.escalated(this.person ? "joined" : asked ? "asked" : this.back ? "back" : "");
		this._showDraft();
	}

	// ---- the answer that is being written ----

	_delta({ id, attempt, index, text: piece }) {
		if (typeof id !== "string" || !Number.isInteger(attempt) || !Number.isInteger(index) || typeof piece !== "string"
			|| this.messages.some((m) => m.id === id))
			return;
		let d = this.draft;
		if (d && attempt < d.attempt)
			return;
		if (!d || d.id !== id || attempt > d.attempt)
			d = { id, attempt, next: 0, text: "", after: Math.max(0, ...this.messages.map((m) => m.seq || 0)) };
		if (index > d.next)
			d.broken = true;	// its beginning was missed: the whole message will come
		if (index < d.next)
			return;
		d.next = index + 1;
		if (!d.broken)
			d.text += piece;
		this._setDraft(d);
	}

	_setDraft(draft) {
		this.draft = draft;
		this._showDraft();
	}

	_setTyping(on) {
		this.typing = on;
		clearTimeout(this.typingTimer);
		if (on)
			this.typingTimer = setTimeout(() => this._setTyping(false), ANSWER_MS);
		this._showDraft();
	}

	_showDraft() {
		const last = this.messages.filter((m) => m.state === "sent").pop();
		const age = last && Math.max(0, Date.now() - Date.parse(last.time));
		const owed = last && last.role === "user" && age < ANSWER_MS && !this.person && last.order > this.settled;
		clearTimeout(this.owedTimer);
		if (owed)
			this.owedTimer = setTimeout(() => this._showDraft(), ANSWER_MS - age + 100);
		this.view.draft(this.draft ? this.draft.text : null, Boolean(this.typing || this.draft || owed));
	}

	// ---- sending ----

	_outbox() {
		const list = this.store.get("outbox");
		return Array.isArray(list) ? list.filter((e) => e && typeof e.cid === "string" && typeof e.text === "string") : [];
	}

	_saveOutbox(list) {
		this.store.set("outbox", list);
	}

	_showEntry(entry) {
		this._put({
			role: "user", cid: entry.cid, text: entry.text, time: entry.at, sources: [],
			state: entry.error ? "failed" : "waiting", error: entry.error,
		});
	}

	// Sends what is in the outbox, one after the other, until it is empty.
	async _pump() {
		if (this.pumping)
			return;
		this.pumping = true;
		let tries = 0;
		let lost = 0;
		for (let entry; (entry = this._outbox().find((e) => !e.error)); ) {
			try {
				await this._deliver(entry);
				tries = lost = 0;
				this.view.trouble("");
			} catch (error) {
				if (LOST_CODES.has(error.code) || error.status === 404 || error.status === 403) {
					if (++lost < LOST_TRIES)
						this._lostSession();
					else
						this._fail(entry, error);
				} else if (FINAL.has(error.status) || FINAL_CODES.has(error.code))
					this._fail(entry, error);
				else
					await this._later(error, tries++);
			}
		}
		this.pumping = false;
	}

	_fail(entry, error) {
		const why = sentence(error.code) || (error.message ? error.message + "." : "This message could not be sent.");
		this._saveOutbox(this._outbox().map((e) => (e.cid === entry.cid ? { ...e, error: why } : e)));
		this._put({ role: "user", cid: entry.cid, state: "failed", error: why });
	}

	async _later(error, tries) {
		const ms = Math.min(RETRY_MS * 2 ** Math.min(tries, 5), RETRY_MAX_MS) * (0.75 + Math.random() / 2);
		if (error.status >= 500 || error.status === 429 || (error.code && !["connection_lost", "timeout", "unreachable"].includes(error.code)))
			this.view.trouble("Helpline is busy right now. Your message is kept and will be sent again in a moment.");
		await Promise.race([pause(error.retryMs || ms), error.retryMs ? pause(error.retryMs) : this._nextWake()]);
	}

	_nextWake() {
		return new Promise((resolve) => this.waiters.push(resolve));
	}

	_wakeWaiters() {
		for (const wake of this.waiters.splice(0))
			wake();
	}

	async _deliver(entry) {
		if (!this.messages.some((m) => m.cid === entry.cid))
			this._showEntry(entry);		// another tab's
		const sessionId = await this._session();
		if (await this._live())
			return this._bySocket(sessionId, entry);
		return this._byRest(sessionId, entry);
	}

	// Is the socket there, or will it be in a moment?
	async _live() {
		for (let left; !this.joined && (left = this.downSince + GRACE_MS - Date.now()) > 0; )
			await Promise.race([this._nextWake(), pause(left)]);
		return this.joined;
	}

	async _bySocket(sessionId, entry) {
		let ack;
		try {
			ack = await this.socket.ask("send-message",
				{ sessionId, message: entry.text, userId: this.userId, clientMessageId: entry.cid }, ASK_MS);
		} catch (error) {
			if (error.code === "timeout")
				this.socket.restart();
			throw error;
		}
		if (!ack || !ack.ok)
			throw Object.assign(new Error(text(ack && ack.error)), { code: ack && ack.code });
		this._accepted(entry, ack);
	}

	_accepted(entry, { id, seq, timestamp }) {
		this._saveOutbox(this._outbox().filter((e) => e.cid !== entry.cid));
		const known = this.messages.find((m) => m.cid === entry.cid);
		if (known && !known.seq)
			known.order = Math.max(0, ...this.messages.map((m) => m.seq || 0)) + 0.5;
		this._put({ role: "user", cid: entry.cid, id, seq, text: entry.text, time: timestamp || new Date().toISOString(), state: "sent" });
	}

	async _byRest(sessionId, entry) {
		let stored = false;
		let lastEventId;
		const body = { sessionId, message: entry.text, userId: this.userId, clientMessageId: entry.cid };
		for (let tries = 0; ; tries++) {
			try {
				const answer = await this.api.message(body, {
					lastEventId,
					told: (id) => { lastEventId = id; },
					opened: () => {
						stored = true;
						this.restWorks = true;
						this._status();
						this._accepted(entry, {});
						this._setDraft(null);
					},
					delta: (d) => {
						if (sessionId !== this.sessionId)
							return;
						this._delta({ ...d, id: "rest-" + entry.cid });
						if (this.draft)
							this.draft.rest = true;
					},
				});
				if (sessionId === this.sessionId) {
					this._setDraft(null);
					if (answer.seq)		// else it says that a person has the conversation: the banner does, too
						this._received(message(answer, roleOf(answer)));
					this._refresh();
				}
				return;
			} catch (error) {
				if (this.draft && this.draft.rest)
					this.draft.rest = false;	// the socket may know better by now
				if (!stored) {
					this._unreached(error);
					throw error;
				}
				// Stored: the answer comes by the socket, or when the history is looked at, if not now.
				if (this.joined || tries > 4 || sessionId !== this.sessionId)
					return;
				await this._later(error, tries);
			}
		}
	}

	_unreached(error) {
		if (error.status === 0) {
			this.restWorks = false;
			this._status();
		}
	}

	// ---- looking by REST while there is no socket ----

	_refreshIfAlone() {
		if (!this.joined && this.sessionId && Date.now() - this.downSince > GRACE_MS && !document.hidden)
			this._refresh();
	}

	async _refresh() {
		const id = this.sessionId;
		try {
			const { history, sessionData } = await this.api.history(id);
			if (id !== this.sessionId)
				return;
			this.restWorks = true;
			this._history(history);
			this._owner(sessionData && sessionData.owner, true);
			this._wakeWaiters();
		} catch (error) {
			this._unreached(error);
		}
		this._status();
	}

	_status() {
		const word = this.joined || (this.socket.up && !this.sessionId) ? "online"
			: navigator.onLine === false ? "offline"
			: this.restWorks ? "slow"
			: Date.now() - this.downSince < GRACE_MS ? "connecting" : "lost";
		this.view.status(word);
		clearTimeout(this.statusTimer);
		if (word === "connecting")
			this.statusTimer = setTimeout(() => this._status(), GRACE_MS);
	}

	async _health() {
		try {
			const { services } = await this.api.health();
			if (this.modelConnected === undefined && services)
				this._model(services.openai !== "not configured");
			this.view.calls(services?.speech === "configured");
		} catch (error) { /* asked again when the socket is back */ }
	}

	_model(connected) {
		this.modelConnected = connected;
		this.view.model(connected);
	}
}
