// Markdown to DOM nodes. markdown-it only cuts the text into tokens; each becomes an element made by name, and its text
// a text node. No string is ever parsed as HTML, so there is nothing to sanitize and markup in the text stays text.

import MarkdownIt from "markdown-it";

const LONGEST = 64 * 1024;	// beyond it the text is shown as it is
const SAFE = /^(?:https?|mailto):/i;

const md = new MarkdownIt({ html: false, linkify: true, breaks: true, typographer: false, maxNesting: 24 });
md.linkify.set({ fuzzyLink: false, fuzzyIP: false });	// "returns.md" is a file, not a host in Moldova
md.validateLink = (url) => SAFE.test(url.trim());

const ELEMENTS = {
	paragraph_open: "p", blockquote_open: "blockquote", bullet_list_open: "ul", list_item_open: "li",
	thead_open: "thead", tbody_open: "tbody", tr_open: "tr", em_open: "em", strong_open: "strong", s_open: "s",
};

function link(href, text) {
	const a = document.createElement("a");
	a.href = href;
	a.target = "_blank";
	a.rel = "noopener noreferrer";
	if (text)
		a.textContent = text;
	return a;
}

function scrollable(child) {
	const box = document.createElement("div");
	box.className = "wide";
	box.tabIndex = 0;
	box.setAttribute("role", "group");
	box.setAttribute("aria-label", "Table");
	box.append(child);
	return box;
}

// Each gives the element that an opening token begins, and the one that goes into the tree where that differs.
const OPENERS = {
	// Not a heading of the page: its outline is not for others to write.
	heading_open: () => {
		const p = document.createElement("p");
		p.className = "heading";
		return [p];
	},
	ordered_list_open: (t) => {
		const ol = document.createElement("ol");
		const start = Number(t.attrGet("start"));
		if (start > 1)
			ol.start = start;
		return [ol];
	},
	table_open: () => {
		const table = document.createElement("table");
		return [table, scrollable(table)];
	},
	th_open: (t) => [cell("th", t)],
	td_open: (t) => [cell("td", t)],
	link_open: (t) => [link(t.attrGet("href"))],
};

function cell(name, token) {
	const element = document.createElement(name);
	const align = /right|center/.exec(token.attrGet("style") || "");
	if (align)
		element.className = align[0];
	return element;
}

function code(text) {
	const pre = document.createElement("pre");
	pre.append(element("code", text));
	return pre;
}

function element(name, text) {
	const node = document.createElement(name);
	node.textContent = text;
	return node;
}

const LEAVES = {
	text: (t) => document.createTextNode(t.content),
	code_inline: (t) => element("code", t.content),
	fence: (t) => code(t.content.replace(/\n$/, "")),
	code_block: (t) => code(t.content.replace(/\n$/, "")),
	hr: () => document.createElement("hr"),
	softbreak: () => document.createElement("br"),
	hardbreak: () => document.createElement("br"),
	// Loading a picture would tell its server who reads this.
	image: (t) => link(t.attrGet("src"), "Picture: " + (t.content || t.attrGet("src"))),
};

function build(tokens, root) {
	const stack = [root];
	for (const token of tokens) {
		const parent = stack[stack.length - 1];
		if (token.type === "inline")
			build(token.children, parent);
		else if (token.nesting < 0)
			stack.pop();
		else if (token.nesting === 0)
			parent.append((LEAVES[token.type] || LEAVES.text)(token));
		else if (token.hidden)
			stack.push(parent);		// the paragraph of a tight list's item
		else {
			const [inner, outer = inner] = OPENERS[token.type] ? OPENERS[token.type](token)
				: [document.createElement(ELEMENTS[token.type] || "span")];
			parent.append(outer);
			stack.push(inner);
		}
	}
}

// The tokens of each outermost block, with the text that they come from.
function blocks(text) {
	const lines = text.split("\n");
	const out = [];
	let depth = 0;
	for (const token of md.parse(text, {})) {
		if (depth === 0 && token.nesting >= 0)
			out.push({ tokens: [], key: token.map ? lines.slice(token.map[0], token.map[1]).join("\n") : "" });
		out[out.length - 1].tokens.push(token);
		depth += token.nesting;
	}
	return out;
}

// Shows the text in root. Blocks that are there already stay, so that a growing text can be read, marked and clicked.
export function showMarkdown(root, text) {
	if (text.length > LONGEST) {
		root.replaceChildren(element("p", text));
		root.keys = [];
		return;
	}
	const keys = root.keys || [];
	const wanted = blocks(text);
	let same = 0;
	while (same < wanted.length && same < keys.length && keys[same] === wanted[same].key && wanted[same].key)
		same++;
	while (root.childNodes.length > same)
		root.lastChild.remove();
	for (const block of wanted.slice(same)) {
		const holder = document.createDocumentFragment();
		build(block.tokens, holder);
		root.append(holder);
	}
	root.keys = wanted.map((b) => b.key);
}
