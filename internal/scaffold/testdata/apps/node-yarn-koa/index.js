const Koa = require('koa');

const app = new Koa();
app.use((ctx) => { ctx.body = 'links\n'; });
app.listen(3003);
