import { readFileSync } from 'node:fs';
import express from 'express';

const app = express();
const port = Number(process.env.PORT ?? 3001);

app.get('/healthz', (_req, res) => { res.json({ ok: true }); });
app.get('/', (_req, res) => { res.type('html').send(readFileSync('views/index.html', 'utf8')); });
app.listen(port, () => console.log(`listening on ${port}`));
