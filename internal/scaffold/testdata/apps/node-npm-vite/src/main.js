document.querySelector('#app').textContent = `dashboard of ${import.meta.env.VITE_SHOP}`;
