import { addressingDataType } from './addressing.ts';
import { calculatedDataType } from './calculated.ts';
import { checkboxDataType } from './checkbox.ts';
import { colorDataType } from './color.ts';
import { currencyDataType } from './currency.ts';
import { DATA_TYPE_NAMES, type DataType, type DataTypeName } from './data-type.ts';
import { dateDataType } from './date.ts';
import { dateTimeDataType } from './date_time.ts';
import { durationDataType } from './duration.ts';
import { entityDataType } from './entity.ts';
import { entityTypeDataType } from './entity_type.ts';
import { floatDataType } from './float.ts';
import { footageDataType } from './footage.ts';
import { imageDataType } from './image.ts';
import { jsonbDataType } from './jsonb.ts';
import { listDataType } from './list.ts';
import { multiEntityDataType } from './multi_entity.ts';
import { numberDataType } from './number.ts';
import { passwordDataType } from './password.ts';
import { percentDataType } from './percent.ts';
import { pivotColumnDataType } from './pivot_column.ts';
import { queryDataType } from './query.ts';
import { serializableDataType } from './serializable.ts';
import { statusListDataType } from './status_list.ts';
import { summaryDataType } from './summary.ts';
import { systemTaskTypeDataType } from './system_task_type.ts';
import { tagListDataType } from './tag_list.ts';
import { textDataType } from './text.ts';
import { timecodeDataType } from './timecode.ts';
import { urlDataType } from './url.ts';
import { urlTemplateDataType } from './url_template.ts';
import { uuidDataType } from './uuid.ts';

/** Every data type by its name. A new one is added here and in DATA_TYPE_NAMES. */
export const DATA_TYPES: Readonly<Record<DataTypeName, DataType>> = {
  addressing: addressingDataType,
  calculated: calculatedDataType,
  checkbox: checkboxDataType,
  color: colorDataType,
  currency: currencyDataType,
  date: dateDataType,
  date_time: dateTimeDataType,
  duration: durationDataType,
  entity: entityDataType,
  entity_type: entityTypeDataType,
  float: floatDataType,
  footage: footageDataType,
  image: imageDataType,
  jsonb: jsonbDataType,
  list: listDataType,
  multi_entity: multiEntityDataType,
  number: numberDataType,
  password: passwordDataType,
  percent: percentDataType,
  pivot_column: pivotColumnDataType,
  query: queryDataType,
  serializable: serializableDataType,
  status_list: statusListDataType,
  summary: summaryDataType,
  system_task_type: systemTaskTypeDataType,
  tag_list: tagListDataType,
  text: textDataType,
  timecode: timecodeDataType,
  url: urlDataType,
  url_template: urlTemplateDataType,
  uuid: uuidDataType,
};

const names: ReadonlySet<string> = new Set(DATA_TYPE_NAMES);

/** @returns whether the project knows a data type of that name; others pass through. */
export function isDataTypeName(name: string): name is DataTypeName {
  return names.has(name);
}
