import { Hono } from 'hono';

const app = new Hono();
let n = 0;
app.get('/', (c) => c.json({ n: ++n }));

export default { port: 3006, fetch: app.fetch };
