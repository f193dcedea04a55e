// Small pieces of the page.

export function make(name, className, text) {
	const node = document.createElement(name);
	if (className)
		node.className = className;
	if (text !== undefined)
		node.textContent = text;
	return node;
}

// Text with `code` in it.
export function inline(text) {
	return (text ?? "").split("`").map((piece, i) => (i % 2 ? make("code", "", piece) : document.createTextNode(piece)));
}

// Paragraphs.
export function words(text) {
	return (text ?? "").split("\n\n").filter(Boolean).map((paragraph) => {
		const p = make("p");
		p.append(...inline(paragraph));
		return p;
	});
}

export function announce(text) {
	const node = document.getElementById("announce");
	node.textContent = "";
	setTimeout(() => { node.textContent = text; }, 50);
}

async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
	} catch {		// not on a page without https, in most browsers
		const area = make("textarea", "sr", text);
		document.body.append(area);
		area.select();
		document.execCommand("copy");
		area.remove();
	}
}

export function copyButton(text, label) {
	const button = make("button", "copy", "Copy");
	button.type = "button";
	button.setAttribute("aria-label", label);
	button.addEventListener("click", async () => {
		await copy(text());
		button.focus();
		button.textContent = "Copied";
		announce("Copied");
		setTimeout(() => { button.textContent = "Copy"; }, 1500);
	});
	return button;
}

// JSON, coloured by its kinds of words.
function coloured(text) {
	const nodes = [];
	let rest = 0;
	for (const match of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|-?\b\d+(?:\.\d+)?\b/g)) {
		nodes.push(text.slice(rest, match.index));
		const kind = match[2] ? "key" : match[1] ? "string" : match[3] ? "word" : "number";
		nodes.push(make("span", kind, match[1] ?? match[0]));
		rest = match.index + (match[1] ?? match[0]).length;
	}
	nodes.push(text.slice(rest));
	return nodes;
}

// A box of code with its name and a button that copies it.
export function codeBox(title, text, isJson) {
	const box = make("figure", "code");
	const bar = make("figcaption");
	bar.append(make("span", "", title), copyButton(() => text, `Copy: ${title}`));
	const pre = make("pre"), code = make("code");
	code.append(...(isJson ? coloured(text) : [text]));
	pre.append(code);
	box.append(bar, pre);
	return box;
}
