import { BadRequestException, Body, Controller, HttpCode, Post } from '@nestjs/common';

import { type Mail, Mailer } from './mailer.js';

@Controller()
export class EmailController {
  constructor(private readonly mailer: Mailer) {}

  @Post('send')
  @HttpCode(202)
  async send(@Body() body: Partial<Mail> | undefined) {
    return { accepted: await this.mailer.send(parse(body)) };
  }
}

function parse(body: Partial<Mail> | undefined): Mail {
  const { to, subject, text } = body ?? {};
  if (typeof to !== 'string' || typeof subject !== 'string' || typeof text !== 'string') {
    throw new BadRequestException('send { "to", "subject", "text" }, each a string');
  }
  return { to, subject, text };
}
