import Fastify from 'fastify';
import { format } from '@mono/money';

const app = Fastify();
app.get('/health', async () => ({ ok: true }));
app.get('/', async () => ({ price: format(1999) }));
await app.listen({ host: '0.0.0.0', port: Number(process.env.PORT || 3002) });
