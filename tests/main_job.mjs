// What every installation has to do, asked of it by its address: a question and its answer, whole, streamed and by sockets.

import assert from "node:assert/strict";
import { Client, openStream, request } from "./harness.mjs";

// The model's answers have to come word by word. Gives the session's id.
export async function mainJob(url, prefix = "") {
	const post = (target, body) => request(url, "POST", `${prefix}${target}`, { body });
	const session = await post("/api/v1/chat/session", { userId: "visitor-1" });
	assert.equal(session.status, 200, session.text);
	const { sessionId } = session.json;
	const answer = await post("/api/v1/chat/message", { sessionId, userId: "visitor-1", message: "How long does delivery take?" });
	assert.equal(answer.status, 200, answer.text);
	assert.ok(answer.json.response);
	const stream = await openStream(url, `${prefix}/api/v1/chat/message`, { sessionId, userId: "visitor-1", message: "And to Norway?" });
	assert.equal(stream.response.status, 200);
	const names = [];
	for await (const event of stream.events)
		names.push(event.event);
	assert.ok(names.filter((n) => n === "delta").length > 1, `its words come one by one: ${names}`);
	const history = await request(url, "GET", `${prefix}/api/v1/chat/history/${sessionId}`);
	assert.equal(history.json.history.length, 4);
	for (const transports of [["websocket"], ["polling"]]) {
		const client = new Client(url, { path: `${prefix}/socket.io/`, transports });
		await client.when("connect");
		await client.join({ sessionId });
		await client.ask("send-message", { sessionId, userId: "visitor-1", message: `By ${transports[0]}` });
		await client.when("message-received", (m) => m.isBot);
		client.close();
	}
	return sessionId;
}
