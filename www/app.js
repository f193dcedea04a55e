// The chat page: puts the parts together and listens to the visitor.

import { api } from "./api.js";
import { Chat } from "./chat.js";
import { Socket } from "./socket.js";
import { openStore } from "./store.js";
import { View } from "./view.js";

const MAX_BYTES = 16384;	// MAX_MESSAGE_BYTES, unless the server is told otherwise
const SHOW_LEFT = 2000;
const ASK_FOR_PERSON = "I would like to talk to a person, please.";

const $ = (id) => document.getElementById(id);
const field = $("message");
const touch = matchMedia("(pointer: coarse)");
const store = openStore();
const kept = openStore(attemptSession());

function attemptSession() {
	try {
		return window.sessionStorage;
	} catch (error) {
		return undefined;
	}
}

const view = new View({ retry: (cid) => { chat.retry(cid); field.focus(); }, edit });
const chat = new Chat({
	api, store, view,
	makeSocket: (on) => new Socket({ url: new URL("socket.io/", location.href).href, on }),
});

// ---- the message field ----

const bytes = (words) => new TextEncoder().encode(words).length;

function measure() {
	const size = bytes(field.value.trim());
	const left = MAX_BYTES - size;
	field.style.height = "auto";
	field.style.height = field.scrollHeight + "px";
	field.setAttribute("aria-invalid", String(left < 0));
	$("left").textContent = left < 0 ? "Too long by " + -left + ". Shorten it, or send it in parts."
		: left < SHOW_LEFT ? left + " of " + MAX_BYTES + " left" : "";
	$("left").className = left < 0 ? "over" : "";
	$("send-button").disabled = size === 0 || left < 0;
}

function setField(words) {
	field.value = words;
	kept.set("field", words);
	measure();
}

function edit(cid) {
	const words = chat.discard(cid);
	setField(field.value.trim() ? field.value + "\n" + words : words);
	field.focus();
}

function submit() {
	const words = field.value.trim();
	if (!words || bytes(words) > MAX_BYTES)
		return;
	setField("");
	chat.send(words);
	field.focus();
}

field.addEventListener("input", () => {
	kept.set("field", field.value);
	measure();
});
field.addEventListener("keydown", (event) => {
	if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229)
		return;
	event.preventDefault();
	submit();
});
$("composer").addEventListener("submit", (event) => {
	event.preventDefault();
	submit();
});

// ---- buttons ----

// The button that was pressed goes away. On a phone the field would bring up the keyboard, over the answer.
function say(words) {
	(touch.matches ? $("scroll") : field).focus({ preventScroll: true });
	chat.send(words);
}

$("examples").addEventListener("click", (event) => {
	if (event.target.tagName === "BUTTON")
		say(event.target.textContent);
});
$("person-button").addEventListener("click", () => say(ASK_FOR_PERSON));

const dialog = $("fresh-dialog");
$("fresh-button").addEventListener("click", () => dialog.showModal());
dialog.addEventListener("close", () => {
	if (dialog.returnValue === "fresh")
		chat.fresh();
	dialog.returnValue = "";
	field.focus();
});

// ---- the world around ----

window.addEventListener("online", () => chat.wake(true));
window.addEventListener("offline", () => chat.wake(true));
window.addEventListener("pageshow", () => chat.wake());
document.addEventListener("visibilitychange", () => {
	if (document.hidden)
		return;
	view.seen();
	chat.wake();
});

// Where the on-screen keyboard does not make the page smaller, its place is left free.
if (window.visualViewport) {
	const fit = () => {
		const covered = window.innerHeight - window.visualViewport.height;
		const typing = covered > 80 && window.visualViewport.scale < 1.05;
		document.documentElement.style.setProperty("--keyboard", (typing ? covered : 0) + "px");
		if (typing)
			window.scrollTo(0, 0);
	};
	window.visualViewport.addEventListener("resize", fit);
}

setField(typeof kept.get("field") === "string" ? kept.get("field") : "");
chat.start();
