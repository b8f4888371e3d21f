const { serve } = require('@hono/node-server');
const { Hono } = require('hono');

const app = new Hono();
app.get('/', (c) => c.text('notes'));
serve({ fetch: app.fetch, port: 3004 });
