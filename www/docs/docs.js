// The page of the API: made of openapi.json, which says all there is to say.

import { make, words, copyButton, announce } from "./parts.js";
import { Schemas } from "./schemas.js";
import { installation, showOperation, searchText } from "./operation.js";

const $ = (id) => document.getElementById(id);
const METHODS = ["get", "post", "put", "delete"];
const narrow = matchMedia("(max-width: 60rem)");

function operationsOf(doc) {
	return Object.entries(doc.paths).flatMap(([path, item]) => METHODS.filter((m) => item[m])
		.map((method) => ({ ...item[method], path, method: method.toUpperCase() })));
}

const slug = (name) => `tag-${name.toLowerCase().replace(/[^a-z]+/g, "-")}`;

function entry(href, label, method) {
	const li = make("li");
	const a = make("a", "", "");
	a.href = href;
	if (method)
		a.append(make("span", `method ${method.toLowerCase()}`, method), " ");
	a.append(make("span", "label", label));
	li.append(a);
	return li;
}

function group(title, href, entries) {
	const box = make("section", "group");
	const heading = make("h2");
	const a = make("a", "", title);
	a.href = href;
	heading.append(a);
	const ul = make("ul");
	ul.append(...entries);
	box.append(heading, ul);
	return box;
}

// ---- the contents, opened by a button where there is no room for them ----

function openMenu(open) {
	document.body.classList.toggle("menu-open", open);
	$("menu").setAttribute("aria-expanded", String(open));
	if (open)
		$("search").focus();
}

function menu() {
	$("menu").addEventListener("click", () => openMenu(!document.body.classList.contains("menu-open")));
	$("contents").addEventListener("click", (e) => {
		if (e.target.closest("a"))
			openMenu(false);
	});
	document.addEventListener("keydown", (e) => {
		if (e.key === "Escape" && document.body.classList.contains("menu-open")) {
			openMenu(false);
			$("menu").focus();
		}
		if (e.key === "/" && !e.ctrlKey && !e.metaKey && !e.altKey && !/^(INPUT|TEXTAREA)$/.test(e.target.tagName)) {
			e.preventDefault();
			if (narrow.matches)
				openMenu(true);
			$("search").focus();
		}
	});
}

// ---- search ----

// shapes: what is not searched, and steps aside.
function search(rows, groups, shapes) {
	const find = () => {
		const wanted = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
		let count = 0;
		for (const row of rows) {
			const hit = wanted.every((w) => row.text.includes(w));
			row.entry.hidden = row.article.hidden = !hit;
			count += hit ? 1 : 0;
		}
		for (const { section, list } of groups)
			section.hidden = list.hidden = !list.querySelector("li:not([hidden])");
		shapes.forEach((each) => { each.hidden = wanted.length > 0; });
		$("introduction").hidden = wanted.length > 0;
		$("found").textContent = wanted.length === 0 ? "" : count === 0 ? "Nothing found" : `${count} of ${rows.length} found`;
	};
	$("search").addEventListener("input", find);
	$("search-form").addEventListener("submit", (e) => {
		e.preventDefault();
		const first = $("list").querySelector("li:not([hidden]) a");
		if (first)
			first.click();
	});
	return () => {
		$("search").value = "";
		find();
	};
}

// Where the reader is, in the contents.
function follow(rows) {
	const links = new Map(rows.map((row) => [row.article, row.entry.firstChild]));
	const seen = new Set();
	const observer = new IntersectionObserver((changes) => {
		for (const change of changes)
			seen[change.isIntersecting ? "add" : "delete"](change.target);
		const current = rows.find((row) => seen.has(row.article));
		for (const [article, a] of links)
			if (current && article === current.article)
				a.setAttribute("aria-current", "location");
			else
				a.removeAttribute("aria-current");
		if (current && !narrow.matches)
			keepInView(links.get(current.article));
	}, { rootMargin: "-15% 0px -70% 0px" });
	for (const row of rows)
		observer.observe(row.article);
}

function keepInView(link) {
	const box = $("contents"), at = link.getBoundingClientRect(), frame = box.getBoundingClientRect();
	if (at.top < frame.top + 120 || at.bottom > frame.bottom)
		box.scrollTop += at.top - frame.top - frame.height / 3;
}

// To what the address names: it may have been hidden by a search.
function arrive(clear) {
	const target = location.hash.length > 1 && $(decodeURIComponent(location.hash.slice(1)));
	if (!target)
		return;
	if (target.closest("[hidden]"))
		clear();
	if (target.matches("details"))
		target.open = true;
	target.scrollIntoView();
	const heading = target.matches("h1, h2, h3") ? target : target.querySelector("h1, h2, h3, summary");
	if (heading) {
		if (!heading.matches("summary"))
			heading.tabIndex = -1;
		heading.focus({ preventScroll: true });
	}
}

// ---- all of it ----

function introduction(doc) {
	const box = make("section");
	box.id = "introduction";
	box.append(make("p", "lead", doc.info.summary), ...words(doc.info.description));
	const base = make("p", "base");
	base.append("This installation: ", make("code", "", installation), copyButton(() => installation, "Copy the address"));
	box.append(base);
	return box;
}

function show(doc) {
	const schemas = new Schemas(doc);
	const operations = operationsOf(doc);
	const rows = [], groups = [];
	const main = $("content");

	$("state").remove();
	main.append(introduction(doc));
	for (const tag of doc.tags) {
		const section = make("section", "tag");
		const heading = make("h2", "", tag.name);
		heading.id = slug(tag.name);
		section.append(heading, ...words(tag.description));
		const entries = [];
		for (const o of operations.filter((each) => each.tags[0] === tag.name)) {
			const row = { article: showOperation(o, schemas), entry: entry(`#${o.operationId}`, o.summary, o.method), text: searchText(o, schemas) };
			rows.push(row);
			section.append(row.article);
			entries.push(row.entry);
		}
		const list = group(tag.name, `#${heading.id}`, entries);
		$("list").append(list);
		main.append(section);
		groups.push({ section, list });
	}
	const section = schemas.section();
	const list = group("Schemas", "#schemas", schemas.names().map((name) => entry(`#schema-${name}`, name)));
	main.append(section);
	$("list").append(list);

	const clear = search(rows, groups, [section, list]);
	follow(rows);
	addEventListener("hashchange", () => arrive(clear));
	arrive(clear);
}

async function start() {
	menu();
	try {
		const res = await fetch("../openapi.json");
		if (!res.ok)
			throw new Error(`the server answered ${res.status}`);
		show(await res.json());
	} catch (error) {
		const state = $("state");
		if (!state)
			throw error;
		state.textContent = `The description cannot be loaded: ${error.message}. Load the page again.`;
		announce(state.textContent);
	}
}

start();
