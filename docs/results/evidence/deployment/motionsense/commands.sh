imuspec fit statistics --data motionsense=set,window_s=5,subjects=1,3,5,7,9,11,13,15,17,19,21,23 --out models/statistics
imuspec fit runs/img2imu --data motionsense=set,window_s=5,subjects=1,3,5,7,9,11,13,15,17,19,21,23 --out models/img2imu --set pictures.nfft=64 --set pictures.hop=8
imuspec fit runs/cpc --data motionsense=set,window_s=5,subjects=1,3,5,7,9,11,13,15,17,19,21,23 --out models/cpc --folds 3
imuspec fit runs/cpc --data motionsense=set,window_s=5,subjects=1,3,5,7,9,11,13,15,17,19,21,23 --out models/tuned --train all --folds 3 --set tuning.epochs=4
imuspec predict motionsense=set,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24 --model models/statistics --out scores/statistics.csv
imuspec predict motionsense=set,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24 --model models/img2imu --out scores/img2imu.csv
imuspec predict motionsense=set,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24 --model models/cpc --out scores/cpc.csv
imuspec predict motionsense=set,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24 --model models/tuned --out scores/tuned.csv
imuspec export models/img2imu --data motionsense=set,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24 --out img2imu.onnx --int8
imuspec export models/tuned --data motionsense=set,window_s=5,subjects=2,4,6,8,10,12,14,16,18,20,22,24 --out tuned.onnx --int8
