const { check, same } = require('./check');

// Three words, three dimensions: enough to see which text is near which.
const words = ['pear', 'lemon', 'carrot'];
const embeddings = {
	embedQuery: async (text) => words.map((word) => (text.includes(word) ? 1 : 0.1)),
	embedDocuments: async (texts) => Promise.all(texts.map(embeddings.embedQuery)),
};

const pear = '00000000-0000-0000-0000-00000000000a';
const lemon = '00000000-0000-0000-0000-00000000000b';

(async () => {
	const { PGVectorStore } = await import('@langchain/community/vectorstores/pgvector');
	const { Document } = await import('@langchain/core/documents');
	let store;

	await check('initialize', async () => {
		store = await PGVectorStore.initialize(embeddings, {
			postgresConnectionOptions: { host: process.env.PGHOST, database: process.env.PGDATABASE },
			tableName: 'testlangchain',
			columns: { idColumnName: 'id', vectorColumnName: 'embedding', contentColumnName: 'text', metadataColumnName: 'metadata' },
			distanceStrategy: 'cosine',
		});
	});
	await check('addDocuments', () =>
		store.addDocuments([new Document({ pageContent: 'a pear', metadata: { n: 1 } }), new Document({ pageContent: 'a lemon', metadata: { n: 2 } })], { ids: [pear, lemon] }));
	await check('similaritySearch', async () => same((await store.similaritySearch('pear', 1))[0].pageContent, 'a pear'));
	await check('similaritySearch with a filter', async () => same((await store.similaritySearch('pear', 1, { n: 2 }))[0].pageContent, 'a lemon'));
	await check('addDocuments of a known id is refused, as on a local table', async () => {
		const log = console.error;
		console.error = () => {};
		const error = await store.addDocuments([new Document({ pageContent: 'a carrot', metadata: {} })], { ids: [pear] }).catch((e) => e);
		console.error = log;
		same(error.message.includes('UNIQUE constraint failed'), true);
	});
	await check('delete', async () => {
		await store.delete({ ids: [pear] });
		same((await store.similaritySearch('pear', 5)).length, 1);
	});
	await store?.end();
})();
