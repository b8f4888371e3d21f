'use strict';

const products = require('./products.json');

// list returns the products that are for sale, cheapest first.
function list() {
  return products.filter((p) => !p.gone).sort((a, b) => a.cents - b.cents);
}

// find returns the product with this id, or undefined.
function find(id) {
  return products.find((p) => p.id === id);
}

module.exports = { list, find };
