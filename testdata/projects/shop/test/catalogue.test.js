'use strict';

const test = require('node:test');
const assert = require('node:assert');
const { list, find } = require('../src/catalogue');
const { total } = require('../src/cart');

test('the list leaves out what is gone', () => {
  assert.ok(list().every((p) => !p.gone));
});

test('a product is found by its id', () => {
  assert.strictEqual(find('mug').name, 'Mug');
  assert.strictEqual(find('nothing'), undefined);
});

test('the total ignores unknown ids', () => {
  assert.strictEqual(total(['mug', 'nothing']), find('mug').cents);
});
