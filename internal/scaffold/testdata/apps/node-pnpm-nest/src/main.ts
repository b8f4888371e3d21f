import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

@Controller()
class Orders {
  @Get()
  all() {
    return [];
  }
}

@Module({ controllers: [Orders] })
class App {}

async function main() {
  const app = await NestFactory.create(App);
  await app.listen(process.env.PORT ?? 3000);
}
void main();
