import { Module } from '@nestjs/common';

import { EmailController } from './email.controller.js';
import { HealthController } from './health.controller.js';
import { Mailer } from './mailer.js';

@Module({
  controllers: [EmailController, HealthController],
  providers: [Mailer],
})
export class AppModule {}
