'use strict';

const polka = require('polka');
const ms = require('ms');
const color = require('picocolors');
const { list, find } = require('./catalogue');
const { total } = require('./cart');

const port = process.env.PORT || 3000;
const started = Date.now();

function send(res, status, body) {
  res.writeHead(status, { 'Content-Type': 'application/json' });
  res.end(JSON.stringify(body));
}

polka()
  .get('/health', (req, res) => send(res, 200, { up: ms(Date.now() - started) }))
  .get('/products', (req, res) => send(res, 200, list()))
  .get('/products/:id', (req, res) => {
    const product = find(req.params.id);
    send(res, product ? 200 : 404, product || { error: 'no such product' });
  })
  .get('/total', (req, res) => send(res, 200, { cents: total([].concat(req.query.id || [])) }))
  .listen(port, (err) => {
    if (err) throw err;
    console.log(color.green(`shop listens on ${port}`));
  });
