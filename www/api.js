// The REST calls of the chat API. Addresses are relative to the page: it may lie below a prefix.

export class ApiError extends Error {
	// status 0: no answer at all
	constructor(message, status, code, retryMs) {
		super(message);
		Object.assign(this, { status, code, retryMs });
	}
}

const REQUEST_MS = 20000;
const SILENCE_MS = 75000;	// of a stream; the server's turn ends before

async function failure(res) {
	let body = {};
	try {
		body = await res.json();
	} catch (error) { /* not ours: a proxy's page */ }
	const seconds = Number(res.headers.get("retry-after"));
	return new ApiError(body.error || "The server answered with status " + res.status, res.status, body.code,
		seconds > 0 ? seconds * 1000 : undefined);
}

// Without an answer in time the call has failed; touch() begins the time anew.
async function call(path, options, ms, read) {
	const abort = new AbortController();
	let timer;
	const touch = () => {
		clearTimeout(timer);
		timer = setTimeout(() => abort.abort(), ms);
	};
	touch();
	try {
		const res = await fetch(path, { ...options, signal: abort.signal, cache: "no-store" });
		if (!res.ok)
			throw await failure(res);
		return await read(res, touch);
	} catch (error) {
		throw error instanceof ApiError ? error : new ApiError("The server cannot be reached", 0, "unreachable");
	} finally {
		clearTimeout(timer);
	}
}

const json = (res) => res.json();
const post = (body, headers = {}) => ({
	method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers },
});

// Server-sent events of a body, one after the other: each(name, data, id).
async function readEvents(res, touch, each) {
	const reader = res.body.getReader();
	const decoder = new TextDecoder();
	let rest = "";
	let event = { data: [] };
	for (;;) {
		const { done, value } = await reader.read();
		if (done)
			return;
		touch();
		rest += decoder.decode(value, { stream: true });
		const lines = rest.split(/\r\n|\n|\r(?!$)/);
		rest = lines.pop();
		for (const line of lines) {
			if (line === "") {
				if (event.data.length > 0)
					each(event.event || "message", event.data.join("\n"), event.id);
				event = { data: [] };
				continue;
			}
			const [, name, text] = /^([^:]*):? ?(.*)$/s.exec(line);
			if (name === "data")
				event.data.push(text);
			else if (name)
				event[name] = text;
		}
	}
}

export const api = {
	createSession: (userId) => call("api/v1/chat/session", post({ userId }), REQUEST_MS, json),
	history: (sessionId) => call("api/v1/chat/history/" + encodeURIComponent(sessionId), {}, REQUEST_MS, json),
	// 503 has the same body and names what fails.
	health: () => call("health", {}, REQUEST_MS, json),

	// One message and its answer. opened(): it is stored; delta({attempt, index, text}) while the answer is written.
	// Gives the body of success. lastEventId: of an earlier try, whose stream broke; told(id) names it.
	message: (body, { lastEventId, opened, delta, told }) => call("api/v1/chat/message", post(body, {
		accept: "text/event-stream", ...(lastEventId && { "last-event-id": lastEventId }),
	}), SILENCE_MS, async (res, touch) => {
		let answer;
		opened();
		if (!/^text\/event-stream/i.test(res.headers.get("content-type") || ""))
			return res.json();
		await readEvents(res, touch, (name, data, id) => {
			if (id)
				told(id);
			if (name === "delta")
				delta(JSON.parse(data));
			else if (name === "message")
				answer = JSON.parse(data);
		});
		if (!answer)
			throw new ApiError("The answer was cut off", 0, "cut_off");
		return answer;
	}),
};
