// The reference of what a message costs: the part of the chat API that ./run bench loads, as a Node service is usually
// written, with Express, socket.io and node-redis. It does less than Helpline: no deduplication, no lease, no search, no
// sealing, no sources, no escalation; nothing is tried again. What would make it slow for no reason is left out as well: it
// keeps its connections, and sends on at once what came from the model at once.
//
//	node server.mjs REDIS_SOCKET MODEL_URL		prints its port

import { randomUUID } from "node:crypto";
import http from "node:http";
import express from "express";
import { createClient } from "redis";
import { Server } from "socket.io";

const [redisSocket, modelUrl] = process.argv.slice(2);
const HISTORY = 20;
const TTL = 86_400;

const redis = await createClient({ socket: { path: redisSocket } }).connect();
const agent = new http.Agent({ keepAlive: true });
const target = new URL(`${modelUrl}/chat/completions`);

// Calls back with each piece of text that has come, and gives the whole.
function askModel(messages, onText) {
	return new Promise((resolve, reject) => {
		const body = JSON.stringify({ model: "bench", stream: true, stream_options: { include_usage: true }, messages });
		const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body), Authorization: "Bearer sk-bench" };
		const req = http.request(target, { method: "POST", agent, headers }, (res) => {
			let rest = "", answer = "";
			res.setEncoding("utf8");
			res.on("data", (chunk) => {
				let text = "";
				const lines = (rest + chunk).split("\n");
				rest = lines.pop();
				for (const line of lines)
					if (line.startsWith("data: {"))
						text += JSON.parse(line.slice(6)).choices[0]?.delta?.content ?? "";
				answer += text;
				if (text)
					onText(text);
			});
			res.on("end", () => (res.statusCode === 200 ? resolve(answer) : reject(new Error(`the model gave ${res.statusCode}`))));
			res.on("error", reject);
		});
		req.on("error", reject);
		req.end(body);
	});
}

async function newSession(userId) {
	const sessionId = randomUUID();
	await redis.multi().hSet(`session:${sessionId}`, { userId, created: new Date().toISOString() }).expire(`session:${sessionId}`, TTL).exec();
	return sessionId;
}

// Stores the message, asks the model, stores the answer.
async function turn({ sessionId, userId, message }, onText) {
	if (typeof message !== "string" || message.trim() === "" || await redis.hGet(`session:${sessionId}`, "userId") !== userId)
		throw Object.assign(new Error("There is no such conversation."), { status: 404 });
	const log = `messages:${sessionId}`;
	const asked = { id: randomUUID(), role: "user", content: message, timestamp: new Date().toISOString() };
	const [, stored] = await redis.multi().rPush(log, JSON.stringify(asked)).lRange(log, -HISTORY, -1).expire(log, TTL).exec();
	const messages = stored.map((text) => JSON.parse(text)).map(({ role, content }) => ({ role, content }));
	const id = randomUUID();
	const content = await askModel([{ role: "system", content: "You are a helpful assistant of a company's support desk." }, ...messages],
		(text) => onText?.(id, text));
	const answer = { id, role: "assistant", content, timestamp: new Date().toISOString() };
	const [seq] = await redis.multi().rPush(log, JSON.stringify(answer)).expire(`session:${sessionId}`, TTL).exec();
	return { success: true, sessionId, messageId: id, seq, response: content, timestamp: answer.timestamp };
}

const app = express().use(express.json({ limit: "256kb" }));
app.post("/api/v1/chat/session", async (req, res, next) => {
	try {
		res.json({ success: true, sessionId: await newSession(req.body.userId) });
	} catch (error) {
		next(error);
	}
});
app.post("/api/v1/chat/message", async (req, res, next) => {
	const event = (name, data) => res.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
	try {
		if (req.headers.accept !== "text/event-stream")
			return void res.json(await turn(req.body));
		res.set("Content-Type", "text/event-stream").flushHeaders();
		event("message", await turn(req.body, (id, text) => event("delta", { id, text })));
		res.end();
	} catch (error) {
		next(error);
	}
});

const server = http.createServer(app);
server.keepAliveTimeout = 120_000;		// as nginx before us
const io = new Server(server, { serveClient: false });
io.on("connection", (socket) => {
	const attempt = (work) => async (body) => {
		try {
			await work(body);
		} catch (error) {
			socket.emit("error", { error: error.message });
		}
	};
	socket.on("join-chat", attempt(async ({ userId, sessionId = undefined }) => {
		sessionId ??= await newSession(userId);
		socket.join(sessionId);
		socket.emit("chat-joined", { sessionId, userId });
	}));
	socket.on("send-message", attempt(async (body) => {
		const room = io.to(body.sessionId);
		const { messageId, seq, response, timestamp } = await turn(body, (id, text) => room.emit("message-delta", { id, text }));
		room.emit("message-received", { id: messageId, seq, message: response, isBot: true, timestamp });
	}));
});
// What other processes say to a room: {"room", "args"}.
const subscriber = await redis.duplicate().connect();
await subscriber.subscribe("broadcast", (text) => {
	const { room, args } = JSON.parse(text);
	io.to(room).emit(...args);
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
