import { format } from '@mono/money';

setInterval(() => console.log(format(Date.now() % 10000)), 1000);
