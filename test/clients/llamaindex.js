const { check, same } = require('./check');

const pear = '00000000-0000-0000-0000-00000000000a';
const lemon = '00000000-0000-0000-0000-00000000000b';

(async () => {
	const { PGVectorStore } = await import('@llamaindex/postgres');
	const { TextNode } = await import('@llamaindex/core/schema');
	const store = new PGVectorStore({ clientConfig: { host: process.env.PGHOST, database: process.env.PGDATABASE }, dimensions: 3, performSetup: false, embeddingModel: {} });
	const node = (id, text, embedding) => new TextNode({ id_: id, text, embedding, metadata: { id } });

	await check('add', () => store.add([node(pear, 'a pear', [1, 0.1, 0.1]), node(lemon, 'a lemon', [0.1, 1, 0.1])]));
	await check('query', async () =>
		same((await store.query({ queryEmbedding: [1, 0.2, 0.1], similarityTopK: 1, mode: 'default' })).ids, [pear]));
	await check('add of a known id', async () => {
		await store.add([node(pear, 'a carrot', [0.1, 0.1, 1])]);
		same((await store.query({ queryEmbedding: [0.1, 0.1, 1], similarityTopK: 1, mode: 'default' })).ids, [pear]);
	});
	const client = await store.client();
	await (client.end ? client.end() : client.close?.());
	process.exit(0);
})();
