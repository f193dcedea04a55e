// What the visitor sees. Chat (chat.js) says what there is; here it becomes elements, and a few words.

import { showMarkdown } from "./markdown.js";

const $ = (id) => document.getElementById(id);
const NEAR_END = 80;		// pixels

function make(name, className, words) {
	const node = document.createElement(name);
	if (className)
		node.className = className;
	if (words !== undefined)
		node.textContent = words;
	return node;
}

const STATUS = {
	connecting: "Connecting…",
	online: "Connected",
	slow: "Connected, but slowly: answers may take a moment to appear",
	lost: "No connection. Trying again…",
	offline: "You are offline. What you write is kept and sent later",
};

const WHO = { user: "You", bot: "Assistant", person: "A person from the team" };

const ESCALATED = {
	asked: ["A person has been asked to join.", "You can keep writing; they will read everything here."],
	joined: ["A person is in this conversation.", "They answer here."],
	back: ["The assistant is back.", "The person has left this conversation."],
};

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

function clock(iso) {
	const date = new Date(iso);
	const node = make("time");
	if (Number.isNaN(date.getTime()))
		return node;
	node.dateTime = iso;
	node.textContent = (date.toDateString() === new Date().toDateString() ? timeFormat : dayFormat).format(date);
	return node;
}

// Many passages may come from one page: each title once, with its passages.
function sources(list) {
	const shown = list.filter((s) => s && typeof s === "object" && (s.title || s.source));
	if (shown.length === 0)
		return null;
	const details = make("details", "sources");
	details.append(make("summary", "", shown.length === 1 ? "1 source" : shown.length + " sources"));
	const ul = make("ul");
	for (const s of shown) {
		const li = make("li");
		li.append(make("strong", "", String(s.title || s.source)));
		if (s.excerpt)
			li.append(make("p", "", String(s.excerpt)));
		ul.append(li);
	}
	details.append(ul);
	details.addEventListener("toggle", () => {
		if (details.open)
			details.scrollIntoView({ block: "nearest" });
	});
	return details;
}

export class View {
	// act: { retry(cid), edit(cid) }
	constructor(act) {
		this.act = act;
		this.nodes = new Map();
		this.scroll = $("scroll");
		this.log = $("log");
		this.following = true;
		this.loading = false;
		this.unread = 0;
		this.draftText = undefined;
		this.scroll.addEventListener("scroll", () => this._scrolled(), { passive: true });
		$("to-end").addEventListener("click", () => this.toEnd(true));
		new ResizeObserver(() => this._follow()).observe(this.scroll);
	}

	// ---- messages ----

	// Messages of before are shown, but not read out.
	bulk(work) {
		this.log.setAttribute("aria-live", "off");
		this.loading = true;
		work();
		this.loading = false;
		this._follow();
		clearTimeout(this.bulkTimer);
		this.bulkTimer = setTimeout(() => this.log.setAttribute("aria-live", "polite"), 500);
	}

	show(m, all) {
		let node = this.nodes.get(m.key);
		const isNew = !node;
		if (isNew) {
			node = make("article", "message " + m.role);
			this.nodes.set(m.key, node);
		}
		const looks = JSON.stringify([m.role, m.text, m.time, m.state, m.error, m.sources]);
		if (node.looks !== looks) {
			node.looks = looks;
			this._fill(node, m);
		}
		this._place(node, m, all);
		if (isNew)
			this._arrived(node, m);
		this._empty(all.length === 0);
		this._follow();
	}

	remove(m) {
		const node = this.nodes.get(m.key);
		if (node)
			node.remove();
		this.nodes.delete(m.key);
		this._empty(this.nodes.size === 0);
	}

	clear() {
		for (const node of this.nodes.values())
			node.remove();
		this.nodes.clear();
		this._empty(true);
	}

	_fill(node, m) {
		const head = make("p", "who");
		head.append(make("span", "", WHO[m.role]), " ", clock(m.time));
		const body = make("div", "text");
		if (m.role === "user")
			body.textContent = m.text;
		else
			showMarkdown(body, m.text);
		node.className = "message " + m.role + " " + m.state;
		node.replaceChildren(head, body);
		if (m.state === "waiting")
			node.append(make("p", "state", this._sending()));
		if (m.state === "failed")
			node.append(this._failed(m));
		const from = sources(m.sources || []);
		if (from)
			node.append(from);
	}

	_sending() {
		return ["lost", "offline"].includes($("status").dataset.state) ? "Waiting for the connection" : "Sending…";
	}

	_failed(m) {
		const box = make("div", "state");
		box.append(make("p", "", "Not sent. " + (m.error || "")));
		const retry = make("button", "quiet", "Send again");
		const edit = make("button", "quiet", "Edit");
		retry.type = edit.type = "button";
		retry.addEventListener("click", () => this.act.retry(m.cid));
		edit.addEventListener("click", () => this.act.edit(m.cid));
		box.append(retry, edit);
		this.announce("Your message was not sent. " + (m.error || ""));
		return box;
	}

	// Moves only what is in the wrong place: whatever is put into the log is read out.
	_place(node, m, all) {
		const at = all.indexOf(m);
		const next = all.slice(at + 1).map((o) => this.nodes.get(o.key)).find((n) => n && n.parentNode === this.log) || null;
		if (node.parentNode !== this.log || node.nextSibling !== next)
			this.log.insertBefore(node, next);
	}

	_arrived(node, m) {
		if (this.loading)
			return;
		if (m.role === "user" && m.state === "waiting")
			return this.toEnd(false);
		if (!this.hadDraft)
			node.classList.add("new");
		if (m.role !== "user" && document.hidden) {
			this.unread++;
			document.title = "(" + this.unread + ") Helpline";
		}
		$("to-end").hidden = this.following;
		return undefined;
	}

	_empty(empty) {
		$("welcome").hidden = !empty;
		$("fresh-button").hidden = empty;
	}

	// ---- the answer under way ----

	// It is outside the log, so that a screen reader hears the whole answer once, not each piece.
	draft(words, writing) {
		const box = $("draft");
		if (!writing) {
			box.hidden = true;
			box.replaceChildren();
			this.draftText = undefined;
			clearTimeout(this.writingTimer);
			this.writingTimer = undefined;
			return;
		}
		if (box.hidden) {
			box.hidden = false;
			this.writingTimer = this.writingTimer || setTimeout(() => this.announce("The assistant is writing."), 1500);
		}
		this.hadDraft = Boolean(words);
		if (!words) {
			if (this.draftText !== "")
				box.replaceChildren(this._dots());
			this.draftText = "";
			this._follow();
			return;
		}
		this.draftText = words;
		if (!this.frame)
			this.frame = requestAnimationFrame(() => this._paint(box));
	}

	_paint(box) {
		this.frame = 0;
		if (box.hidden || !this.draftText)
			return;
		let body = box.querySelector(".text");
		if (!body) {
			const node = make("article", "message bot draft");
			const head = make("p", "who");
			head.append(make("span", "", WHO.bot));
			body = make("div", "text");
			node.append(head, body);
			box.replaceChildren(node);
		}
		showMarkdown(body, this.draftText);
		this._follow();
	}

	_dots() {
		const node = make("div", "message bot dots");
		node.append(make("span", "sr", "The assistant is writing."), make("i"), make("i"), make("i"));
		return node;
	}

	// ---- scrolling ----

	toEnd(smoothly) {
		const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
		this.following = true;
		$("to-end").hidden = true;
		this.scroll.scrollTo({ top: this.scroll.scrollHeight, behavior: smoothly && !calm ? "smooth" : "instant" });
	}

	_follow() {
		if (this.following && !this.loading)
			this.scroll.scrollTop = this.scroll.scrollHeight;
	}

	_scrolled() {
		const { scrollTop, clientHeight, scrollHeight } = this.scroll;
		this.following = scrollHeight - scrollTop - clientHeight < NEAR_END;
		if (this.following)
			$("to-end").hidden = true;
	}

	// ---- words around it ----

	status(word) {
		const node = $("status");
		node.dataset.state = word;
		if (node.textContent !== STATUS[word])
			node.textContent = STATUS[word];
		for (const waiting of this.log.querySelectorAll(".waiting .state"))
			waiting.textContent = this._sending();
	}

	announce(words) {
		$("announce").textContent = words;
	}

	trouble(words) {
		this._line($("trouble"), words);
	}

	note(words) {
		this._line($("note"), words);
	}

	_line(node, words) {
		node.hidden = !words;
		if (node.textContent !== words)
			node.textContent = words;
	}

	escalated(word) {
		const node = $("escalated");
		if (node.dataset.word === word)
			return;
		node.dataset.word = word;
		node.hidden = !word;
		$("person-button").hidden = Boolean(word) && word !== "back";
		if (word)
			node.replaceChildren(make("strong", "", ESCALATED[word][0]), " " + ESCALATED[word][1]);
	}

	calls(possible) {
		$("call-link").hidden = !possible;
	}

	model(connected) {
		$("no-model").hidden = connected;
	}

	seen() {
		this.unread = 0;
		document.title = "Helpline";
	}
}
