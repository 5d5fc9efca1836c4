import { servicesOver } from './stack/services.ts';

servicesOver('redis');
