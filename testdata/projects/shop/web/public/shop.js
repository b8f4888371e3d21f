fetch('/api/products')
  .then((res) => res.json())
  .then((products) => {
    const list = document.getElementById('products');
    for (const { name, cents } of products) {
      const item = document.createElement('li');
      item.textContent = `${name}: ${(cents / 100).toFixed(2)}`;
      list.append(item);
    }
  });
