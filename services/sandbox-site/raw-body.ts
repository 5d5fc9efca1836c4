/** A body that is no JSON, sent as it is (protocol §1.3). */
export class RawBody {
  readonly contentType: string;
  readonly text: string;

  constructor(contentType: string, text: string) {
    this.contentType = contentType;
    this.text = text;
  }
}
